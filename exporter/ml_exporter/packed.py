"""Where the rules pack lies: in the wheel, or in the repository."""

from pathlib import Path

from ml_exporter.errors import ExporterError


def pack_dir() -> Path:
    """The folder of rules/, dashboards/ and runbooks/: in the wheel, or in the repository when editable."""
    package = Path(__file__).resolve().parent
    for folder in (package / "pack", package.parents[1]):
        if (folder / "rules" / "mixin.libsonnet").is_file():
            return folder
    raise ExporterError(f"{package}: expected the rules pack in it, got none. Install ml-exporter again.")
