"""What several live tests share."""

import pytest
from browsing import chromium


@pytest.fixture(scope="module")
def browser():
    """Return a Chromium without a screen, one for the tests of a file."""
    with chromium() as running:
        yield running
