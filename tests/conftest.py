"""Settings of every test, and the command line as a shell sees it."""

import sys

import pytest
from hypothesis import settings

from ml_exporter import cli

# No test asserts a time: a machine under load must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def shell(monkeypatch, capsys):
    """Return a function that runs the command line and returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ml-exporter", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run
