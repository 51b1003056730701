"""A full collection leaves the modules alone."""

import gc

import pytest

from smallrtc_cli.commands.garbage import spare_imports


@pytest.fixture(autouse=True)
def _as_it_was():
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_is_there_is_spared_once():
    spare_imports()
    spared = gc.get_freeze_count()
    assert spared > 1000
    later = [[] for _ in range(10)]
    spare_imports()
    assert gc.get_freeze_count() <= spared
    assert any(each is later for each in gc.get_objects())
