"""What the source of a module says of its classes: their docstrings, and one for each field.

Field docs are the source of the generated references and of the API's own description.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class FieldDoc:
    """A field as it is written. `default` is "" for one that has none."""

    name: str
    annotation: str
    default: str
    text: str


@dataclass(frozen=True)
class ClassDoc:
    """A class with fields, in the order of the source. `bases` are names."""

    name: str
    text: str
    bases: tuple[str, ...]
    fields: tuple[FieldDoc, ...]


def classes_of(module: ModuleType) -> tuple[ClassDoc, ...]:
    """The classes of a module."""
    tree = ast.parse(inspect.getsource(module))
    return tuple(
        ClassDoc(
            node.name,
            ast.get_docstring(node) or "",
            tuple(base.id for base in node.bases if isinstance(base, ast.Name)),
            tuple(_fields(node)),
        )
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    )


def _fields(node: ast.ClassDef) -> Iterator[FieldDoc]:
    """Annotated names, each with the docstring that follows it."""
    for item, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            told = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            default = ast.unparse(item.value) if item.value is not None else ""
            yield FieldDoc(item.target.id, ast.unparse(item.annotation), default, " ".join(str(told).split()))
