"""The paths of the JSON API, and their description as OpenAPI 3.1, derived from the types of the answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from ..facts.answers import FeatureFacts, LabelFacts, ModelFacts, Models, OutlierFacts, Rejected
from ..facts.answers import features as of_features
from ..facts.answers import labels as of_labels
from ..facts.answers import models as of_models
from ..facts.answers import rows as of_rows
from ..facts.answers import values as of_values
from ..fielddocs import ClassDoc, FieldDoc, classes_of

OPENAPI_PATH = "/api/v1/openapi.json"
REF = "#/components/schemas/{name}"
PARAMETERS = {
    "model": "Name of a model, as configured.",
    "feature": "Name of a feature, as configured, percent-encoded.",
}


@dataclass(frozen=True)
class Endpoint:
    """One path of the API, what it answers with, and what that says."""

    path: str
    answer: type
    text: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(name for name in PARAMETERS if f"{{{name}}}" in self.path)


ENDPOINTS = (
    Endpoint("/api/v1/models", Models, "All models and their state."),
    Endpoint("/api/v1/models/{model}", ModelFacts, "One model: windows, versions, segments, all values."),
    Endpoint(
        "/api/v1/models/{model}/features/{feature}", FeatureFacts, "One feature: histograms, PSI by bin, its history."
    ),
    Endpoint("/api/v1/models/{model}/labels", LabelFacts, "Labels: coverage, delays, what became of them."),
    Endpoint("/api/v1/models/{model}/outliers", OutlierFacts, "Outliers: ratios, and the last ones."),
    Endpoint("/api/v1/rejected", Rejected, "Refused rows by source and reason, and the last ones."),
)


def described() -> Iterator[ClassDoc]:
    """The classes of the answers, each with the fields that it inherits."""
    known: dict[str, ClassDoc] = {}
    for module in (of_models, of_values, of_features, of_labels, of_rows):
        for item in classes_of(module):
            inherited = tuple(found for base in item.bases if base in known for found in known[base].fields)
            known[item.name] = ClassDoc(item.name, item.text, item.bases, (*inherited, *item.fields))
    yield from known.values()


def document(version: str, root: str = "/") -> dict[str, Any]:
    """The OpenAPI document; `root` is the path that all others stand under."""
    answers, schemas = msgspec.json.schema_components([item.answer for item in ENDPOINTS], ref_template=REF)
    docs = {item.name: item for item in described()}
    for name, schema in schemas.items():
        schema["description"] = docs[name].text
        for field in docs[name].fields:
            schema["properties"][field.name] = _property(schema["properties"][field.name], field)
    schemas["Error"] = {
        "type": "object",
        "properties": {"error": {"type": "string", "description": "What was expected, and what came."}},
        "required": ["error"],
    }
    info = {"title": "ml-exporter", "version": version, "description": "The facts of the newest evaluation."}
    paths = {item.path: _path(item, answer) for item, answer in zip(ENDPOINTS, answers, strict=True)}
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": root}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def json_type(schema: dict[str, Any]) -> str:
    """A schema in words.

    >>> json_type({"type": "array", "items": {"anyOf": [{"$ref": "#/A"}, {"type": "null"}]}})
    'array of A or null'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " or ".join(f'"{item}"' if item is not None else "null" for item in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(json_type(item) for item in schema["anyOf"])
    if schema["type"] == "array":
        return f"array of {json_type(schema['prefixItems'][0] if 'prefixItems' in schema else schema['items'])}"
    if "additionalProperties" in schema:
        return f"object of {json_type(schema['additionalProperties'])}"
    return str(schema["type"])


def _property(schema: dict[str, Any], field: FieldDoc) -> dict[str, Any]:
    return {**schema, "description": field.text}


def _path(item: Endpoint, schema: dict[str, Any]) -> dict[str, Any]:
    failed = {"content": {"application/json": {"schema": {"$ref": REF.format(name="Error")}}}}
    responses = {
        "200": {"description": item.text, "content": {"application/json": {"schema": schema}}},
        **({"404": {"description": "A name is not known.", **failed}} if item.parameters else {}),
        "503": {"description": "Nothing was evaluated yet.", **failed},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "description": PARAMETERS[name], "schema": {"type": "string"}}
        for name in item.parameters
    ]
    return {"get": {"summary": item.text, "parameters": parameters, "responses": responses}}
