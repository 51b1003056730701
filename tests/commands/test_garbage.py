"""A full collection leaves the modules alone, and hardly one is made while they are loaded."""

import gc

import pytest

from smallrtc_cli.commands.garbage import put_off, spare_imports

USUAL = gc.get_threshold()


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


def test_collections_are_put_off_until_the_end_whatever_it_is():
    def fails():
        with put_off():
            assert gc.get_threshold()[0] > 100 * USUAL[0]
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    assert gc.get_threshold() == USUAL


def test_collections_are_usual_again_when_the_imports_are_spared():
    with put_off():
        spare_imports()
        assert gc.get_threshold() == USUAL
    assert gc.get_threshold() == USUAL


def test_thresholds_that_a_bot_sets_while_it_is_loaded_stay():
    try:
        with put_off():
            gc.set_threshold(12_345, 5, 5)
            spare_imports()
            assert gc.get_threshold() == (12_345, 5, 5)
        assert gc.get_threshold() == (12_345, 5, 5)
    finally:
        gc.set_threshold(*USUAL)


def test_garbage_is_still_collected_while_collections_are_put_off():
    class Ring:
        gone = 0

        def __init__(self):
            self.itself = self

        def __del__(self):
            Ring.gone += 1

    with put_off():
        for _ in range(250_000):
            Ring()
    assert Ring.gone > 100_000
