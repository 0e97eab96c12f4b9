"""`.ci/fetch-tools` rewrites the machine's apt sources, in both formats; a browser is linked."""

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
    assert "expected floor, latest or browser, got 'newest'" in capsys.readouterr().err


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


def test_own_sources_keep_the_updates_of_the_release(fetch_tools, tmp_path, monkeypatch):
    lines = "deb http://m.test/d lunar main\ndeb http://m.test/s lunar-security main\ndeb http://f.test/ lunar-x main\n"
    monkeypatch.setattr(fetch_tools.platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "lunar"})
    monkeypatch.setattr(fetch_tools, "ETC", tmp_path / "etc")
    (tmp_path / "etc" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "etc" / "sources.list").write_text(lines)
    fetch_tools.copy_sources("", tmp_path)
    assert (tmp_path / "sources.list").read_text().splitlines() == lines.splitlines()[:2]


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_installed_chromium_is_linked_once_it_has_drawn_a_page(fetch_tools, tmp_path, monkeypatch, capsys):
    installed = program(tmp_path / "usr" / "chromium", """echo 'Chromium 150.0.7871.100 <p>drawn</p>'""")
    monkeypatch.setattr(fetch_tools, "TOOLS", tmp_path)
    monkeypatch.setattr(fetch_tools.shutil, "which", {"chromium": str(installed)}.get)
    assert fetch_tools.main(["browser"]) == 0
    assert (tmp_path / "browser" / "bin" / "chromium").resolve() == installed
    assert (tmp_path / "browser" / "VERSIONS").read_text() == "  chromium 150.0.7871.100\n"
    monkeypatch.setattr(fetch_tools, "run", lambda *_: pytest.fail("it ran again"))
    assert fetch_tools.main(["browser"]) == 0
    assert "already there:\n  chromium 150.0.7871.100" in capsys.readouterr().out
    installed.unlink()
    monkeypatch.setattr(fetch_tools.shutil, "which", {}.get)
    assert fetch_tools.main(["browser"]) == 1
    assert "expected a Debian system, but apt-get is not here. Put chromium into" in capsys.readouterr().err


def test_a_chromium_that_draws_nothing_is_left_aside(fetch_tools, tmp_path, monkeypatch, capsys):
    installed = program(tmp_path / "usr" / "chromium", "echo 'Please install the snap.'; exit 1")
    monkeypatch.setattr(fetch_tools, "TOOLS", tmp_path)
    monkeypatch.setattr(fetch_tools.shutil, "which", {"chromium": str(installed)}.get)
    assert fetch_tools.main(["browser"]) == 1
    assert not (tmp_path / "browser").exists()
    assert "expected a page drawn without a screen, got 'Please install the snap.'" in capsys.readouterr().err


def test_an_unpacked_chromium_gets_its_libraries_and_fonts_from_where_it_lies(fetch_tools, tmp_path):
    (tmp_path / "root/usr/lib/x/pulseaudio").mkdir(parents=True)
    (tmp_path / "root/usr/lib/x/libfirst.so.1").touch()
    (tmp_path / "root/usr/lib/x/pulseaudio/libsecond.so").touch()
    program(tmp_path / "root/usr/lib/chromium/chromium", 'echo "$LD_LIBRARY_PATH $FONTCONFIG_FILE" "$@"')
    fetch_tools.write_chromium_wrapper(tmp_path)
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    root = moved / "root"
    said = fetch_tools.run([moved / "bin/chromium", "--headless"], moved).stdout.strip()
    libraries = f"{root}/usr/lib/x:{root}/usr/lib/x/pulseaudio"
    assert said == f"{libraries} {root}/fonts.conf --headless"
    assert '<dir prefix="relative">usr/share/fonts</dir>' in (root / "fonts.conf").read_text()
