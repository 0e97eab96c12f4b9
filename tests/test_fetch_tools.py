"""`.ci/fetch-tools` rewrites the machine's apt sources: both formats, and foreign repositories left out."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "fetch-tools"


@pytest.fixture(scope="module")
def fetch_tools():
    loader = SourceFileLoader("fetch_tools", str(SCRIPT))
    module = module_from_spec(spec_from_loader("fetch_tools", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://mirror.test/debian bookworm main", "deb http://mirror.test/debian forky main\n"),
        (
            "  deb [arch=amd64 signed-by=/k.gpg] https://mirror.test/debian stable contrib main # comment",
            "deb [arch=amd64 signed-by=/k.gpg] https://mirror.test/debian forky main\n",
        ),
        ("deb http://mirror.test/debian bookworm-updates main", ""),
        ("deb http://foreign.test/apt cloud-sdk-bookworm main", ""),
        ("deb http://foreign.test/apt bookworm stable", ""),
        ("deb-src http://mirror.test/debian bookworm main", ""),
        ("# deb http://mirror.test/debian bookworm main", ""),
        ("deb cdrom:[Debian 12]/ bookworm main", ""),
    ],
)
def test_one_line_sources(fetch_tools, line, expected):
    assert fetch_tools.rename_one_line(line + "\n", {"bookworm", "stable"}, "forky") == expected


def test_one_line_sources_keep_every_mirror(fetch_tools):
    text = "deb http://a.test/debian bookworm main\ndeb http://b.test/debian bookworm main contrib\n"
    renamed = fetch_tools.rename_one_line(text, {"bookworm"}, "bookworm")
    assert renamed == "deb http://a.test/debian bookworm main\ndeb http://b.test/debian bookworm main\n"


def test_deb822_sources(fetch_tools):
    text = """\
# The mirror
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://foreign.test/apt
Suites: bookworm
Components: stable

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.test/debian
Suites: bookworm
Components: main
"""
    assert (
        fetch_tools.rename_deb822(text, {"bookworm"}, "forky")
        == """\
# The mirror
Types: deb
URIs: http://mirror.test/debian
Suites: forky
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

"""
    )


def test_an_unknown_name_is_refused(fetch_tools, capsys):
    assert fetch_tools.main(["newest"]) == 2
    assert "expected floor or latest, got 'newest'" in capsys.readouterr().err


def test_a_machine_without_sources_says_so(fetch_tools, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_tools.platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "lunar"})
    monkeypatch.setattr(fetch_tools, "rename_one_line", lambda *_: "")
    monkeypatch.setattr(fetch_tools, "rename_deb822", lambda *_: "")
    with pytest.raises(fetch_tools.FetchError, match="suite 'lunar'"):
        fetch_tools.copy_sources("forky", tmp_path)


def test_tools_that_are_there_are_not_fetched_again(fetch_tools, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetch_tools, "TOOLS", tmp_path)
    monkeypatch.setattr(fetch_tools, "run", lambda *_: pytest.fail("apt-get was called"))
    (tmp_path / "floor").mkdir()
    (tmp_path / "floor" / "VERSIONS").write_text("".join(f"  {link} 2.42.0\n" for link in fetch_tools.BINARIES))
    assert fetch_tools.main(["floor"]) == 0
    assert "prometheus 2.42.0" in capsys.readouterr().out


def test_tools_without_a_program_that_was_added_are_fetched_again(fetch_tools, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_tools, "TOOLS", tmp_path)
    monkeypatch.setattr(fetch_tools.shutil, "which", lambda _: None)
    (tmp_path / "floor").mkdir()
    (tmp_path / "floor" / "VERSIONS").write_text("  prometheus 2.42.0\n  promtool 2.42.0\n")
    with pytest.raises(fetch_tools.FetchError, match="pushgateway"):
        fetch_tools.fetch("floor")
