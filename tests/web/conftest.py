"""A folder with certificates, and web configurations in it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from certificates import Certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Return certificates of a new authority, in the folder of the test."""
    return Certificates(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a web configuration from what it says, or from its text."""

    def written(document: object = None, text: str | None = None) -> Path:
        path = tmp_path / "web.yml"
        path.write_text(yaml.safe_dump(document) if text is None else text)
        return path

    return written
