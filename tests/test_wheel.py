"""The wheel carries the rules pack: whoever installs it has the rules, the dashboards and the runbooks."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGED = {
    "exporter/ml_exporter": "ml_exporter",
    "rules": "ml_exporter/pack/rules",
    "dashboards": "ml_exporter/pack/dashboards",
    "runbooks": "ml_exporter/pack/runbooks",
}


def test_the_wheel_holds_every_file_of_the_package_and_the_pack(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{target}/{path.relative_to(ROOT / source)}"
        for source, target in PACKAGED.items()
        for path in (ROOT / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected
    assert {name.split("/")[2] for name in packed if "/pack/" in name} == {"rules", "dashboards", "runbooks"}
