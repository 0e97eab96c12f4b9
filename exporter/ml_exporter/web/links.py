"""The addresses of the pages, and how one page links to another.

Links are relative to the page that holds them. So they work under any route prefix, and behind a proxy that strips one,
without being told of it.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

Link = Callable[[str], str]
"""From an address of the exporter that begins with a slash (`/models/fraud`) to what a page writes into `href`."""


def link_from(page: str) -> Link:
    """The links of the page at this address, which begins with a slash and is percent-encoded.

    >>> link = link_from("/models/fraud/features/temp")
    >>> link("/models/fraud"), link("/"), link_from("/")("/"), link_from("/")("/metrics")
    ('../../../models/fraud', '../../../', './', 'metrics')
    """
    upwards = "../" * (page.count("/") - 1)
    return lambda path: upwards + path.lstrip("/") or "./"


def page_of(scope: Mapping[str, Any]) -> str:
    """The address of the page that an ASGI scope asks for, below the route prefix and percent-encoded.

    The encoded address counts: a browser sees one step in `a%2Fb`, where the decoded path has two.

    >>> page_of({"path": "/ml/models/a/b", "raw_path": b"/ml/models/a%2Fb", "root_path": "/ml"})
    '/models/a%2Fb'
    """
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.decode("latin-1").partition("?")[0]
    prefix = quote(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path


def model_path(model: str, part: str = "") -> str:
    """Address of a model's page, or of one of its parts (`labels`, `outliers`).

    >>> model_path("fraud"), model_path("fraud", "labels")
    ('/models/fraud', '/models/fraud/labels')
    """
    return f"/models/{quote(model, safe='')}" + (f"/{part}" if part else "")


def runbook_path(name: str, labels: Mapping[str, str]) -> str:
    """Address of a runbook with the labels of an alert.

    >>> runbook_path("MLFeatureDrift", {"model": "a b&c"}), runbook_path("MLFeatureDrift", {})
    ('/runbooks/MLFeatureDrift?model=a+b%26c', '/runbooks/MLFeatureDrift')
    """
    return f"/runbooks/{name}" + (f"?{urlencode(labels, errors='replace')}" if labels else "")


def feature_path(model: str, feature: str) -> str:
    """Address of a feature's page. Names that are steps of a path, or might be taken for them, go into a query.

    >>> feature_path("fraud", "a b/%"), feature_path("fraud", "..")
    ('/models/fraud/features/?name=a+b%2F%25', '/models/fraud/features/?name=..')
    >>> feature_path("fraud", "temp é")
    '/models/fraud/features/temp%20%C3%A9'
    """
    here = f"{model_path(model)}/features/"
    if feature.strip(".") == "" or "/" in feature or "\\" in feature or not feature.isprintable():
        return here + "?" + urlencode({"name": feature}, errors="replace")
    return here + quote(feature, safe="", errors="replace")
