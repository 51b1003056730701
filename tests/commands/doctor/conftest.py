"""coturn for the tests of this folder, and the stages that an examination tells."""

import shutil
from collections.abc import Iterator

import pytest
from ice_services import Coturn, coturn, self_made_certificate


@pytest.fixture(scope="session", name="coturn")
def _coturn(tmp_path_factory) -> Iterator[Coturn]:
    if shutil.which("turnserver") is None:
        pytest.skip("needs coturn (Debian's `coturn`)")
    folder = tmp_path_factory.mktemp("coturn")
    with coturn(folder, self_made_certificate(folder)) as server:
        yield server
