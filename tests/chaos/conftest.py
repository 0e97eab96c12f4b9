import pytest
from tests.serve import service


@pytest.fixture(scope="session")
def baseline_text(tmp_path_factory):
    """Return the baseline of the service as text."""
    return service.make_artefact(tmp_path_factory.mktemp("reference"))
