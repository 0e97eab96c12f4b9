"""Settings of every test, and the command line as a shell sees it."""

import sys

import pytest
from hypothesis import HealthCheck, settings

from ml_exporter import cli

# No test asserts a time: a machine under load must not fail one. And none fails a change that did not break it: the
# examples are the same each time. `--hypothesis-profile explore` looks for others.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("same"), derandomize=False, max_examples=500)
settings.load_profile("same")


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
