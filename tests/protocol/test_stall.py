"""Whether what was sent is acknowledged: by a clock of the test's own."""

import pytest

from smallrtc_cli.protocol.stall import Progress, Step


@pytest.fixture
def progress() -> Progress:
    return Progress(resend_after=1.5, stalled_after=3.0)


def look(
    progress: Progress, now: float, acknowledged: int = 7, *, outstanding: bool = True, heard: float | None = None
):
    return progress.look(now, acknowledged, outstanding, now if heard is None else heard)


def test_what_is_acknowledged_in_time_is_nothing_to_tell(progress):
    for now in range(20):
        assert look(progress, now, acknowledged=now) == []
    assert not progress.stalled


def test_a_channel_with_nothing_outstanding_never_stalls(progress):
    assert [look(progress, now, outstanding=False) for now in range(20)] == [[]] * 20


def test_what_is_not_acknowledged_is_recovered_first_and_then_called_a_stall(progress):
    assert look(progress, 0) == []
    assert look(progress, 1.4) == []
    assert look(progress, 1.5) == [Step.RECOVER]
    assert look(progress, 2.9) == []
    assert look(progress, 3.0) == [Step.STALLED]
    assert progress.stalled
    assert look(progress, 3.4) == []


def test_silence_counts_from_the_last_acknowledgement_and_not_from_the_last_message(progress):
    look(progress, 0, 1)
    look(progress, 2.9, 2)
    assert look(progress, 4.3, 2) == []
    assert look(progress, 4.4, 2) == [Step.RECOVER]


def test_recovery_is_tried_again_with_growing_pauses(progress):
    look(progress, 0)
    tried = [now / 2 for now in range(1, 80) if Step.RECOVER in look(progress, now / 2)]
    assert tried == [1.5, 3.5, 7.5, 15.5, 31.5]


@pytest.mark.parametrize("how", ["acknowledged", "nothing is outstanding any more"])
def test_an_acknowledgement_ends_a_stall_and_that_is_told_once(progress, how):
    look(progress, 0)
    look(progress, 3)
    ended = {"acknowledged": 8} if how == "acknowledged" else {"outstanding": False}
    assert look(progress, 4, **ended) == [Step.FLOWING]
    assert not progress.stalled
    assert look(progress, 4.1, **ended) == []


def test_after_a_stall_the_next_one_is_recovered_as_soon_as_the_first(progress):
    look(progress, 0)
    look(progress, 3)
    look(progress, 4, 8)
    assert look(progress, 5.5, 8) == [Step.RECOVER]


def test_another_side_that_is_silent_is_not_our_stall(progress):
    look(progress, 10)
    assert look(progress, 14, heard=10.5) == []
    assert look(progress, 14.5, heard=14.4) == [Step.RECOVER, Step.STALLED]
