import pytest

from smallrtc_cli.audio.device_watch import DeviceState, DeviceWatch, Finding
from smallrtc_cli.config import Devices

SETTINGS = Devices(lost_after=0.5, settle=3.0, look=0.1, retry=2.0)


def _looks(watch, start, end, heard=False):
    """Look every tenth of a second; what was found, with the time."""
    found = []
    for tenth in range(round(start * 10), round(end * 10) + 1):
        if heard:
            watch.heard(tenth / 10)
        found.append((tenth / 10, watch.look(tenth / 10)))
    return [(at, each) for at, each in found if each is not Finding.NOTHING]


@pytest.fixture
def watch():
    """Of a device that has run for ten seconds."""
    watch = DeviceWatch(0.0, SETTINGS)
    assert _looks(watch, 0.1, 10.0, heard=True) == []
    return watch


def test_a_device_whose_callbacks_come_is_open(watch):
    assert watch.state is DeviceState.OPEN
    assert _looks(watch, 10.1, 20.0, heard=True) == []


def test_half_a_second_without_a_callback_means_gone_and_is_found_once(watch):
    assert _looks(watch, 10.1, 12.0) == [(10.6, Finding.GONE)]
    assert watch.state is DeviceState.LOST


def test_a_short_pause_is_none(watch):
    assert _looks(watch, 10.1, 10.4) == []
    watch.heard(10.45)
    assert _looks(watch, 10.5, 10.9) == []


def test_a_stream_that_has_ended_is_gone_at_the_next_look(watch):
    watch.ended()
    assert watch.look(10.1) is Finding.GONE


def test_after_opening_callbacks_may_stay_away_for_longer():
    watch = DeviceWatch(0.0, SETTINGS)
    assert _looks(watch, 0.1, 2.9) == []
    watch = DeviceWatch(0.0, SETTINGS)
    assert _looks(watch, 0.1, 4.0) == [(3.1, Finding.GONE)]


def test_a_device_that_stops_while_it_settles_is_gone_when_it_should_have_settled():
    watch = DeviceWatch(0.0, SETTINGS)
    watch.heard(0.5)
    assert _looks(watch, 0.6, 4.0) == [(3.1, Finding.GONE)]


def test_it_is_tried_again_every_two_seconds(watch):
    watch.ended()
    watch.look(10.1)
    assert _looks(watch, 10.2, 12.1) == [(12.1, Finding.TRY)]
    watch.failed(12.2)
    assert _looks(watch, 12.3, 14.2) == [(14.2, Finding.TRY)]
    assert watch.state is DeviceState.LOST


def _tried_again(watch):
    """Lost at 10.1, opened again at 12.2."""
    watch.ended()
    assert _looks(watch, 10.1, 12.1) == [(10.1, Finding.GONE), (12.1, Finding.TRY)]
    watch.opened(12.2)


def test_a_device_is_back_when_its_callbacks_come_and_settles_anew(watch):
    _tried_again(watch)
    assert _looks(watch, 12.3, 13.0) == []
    watch.heard(13.05)
    assert watch.look(13.1) is Finding.BACK
    assert watch.state is DeviceState.OPEN
    assert _looks(watch, 13.2, 17.0) == [(15.3, Finding.GONE)]


def test_a_callback_that_comes_before_the_opening_is_told_counts(watch):
    watch.ended()
    assert _looks(watch, 10.1, 12.1)[-1] == (12.1, Finding.TRY)
    watch.heard(12.15)
    watch.opened(12.2)
    assert watch.look(12.3) is Finding.BACK


def test_a_device_that_opens_and_gives_no_callback_has_failed_and_is_tried_again(watch):
    _tried_again(watch)
    assert _looks(watch, 12.3, 17.3) == [(15.3, Finding.FAILED), (17.3, Finding.TRY)]
    assert watch.state is DeviceState.LOST


def test_a_device_that_opens_and_ends_at_once_has_failed(watch):
    _tried_again(watch)
    watch.heard(12.25)
    watch.ended()
    assert watch.look(12.3) is Finding.FAILED


def test_callbacks_of_a_lost_device_do_not_bring_it_back(watch):
    watch.ended()
    watch.look(10.1)
    watch.heard(10.2)
    assert watch.look(10.3) is Finding.NOTHING
    assert watch.state is DeviceState.LOST


def test_a_look_that_was_late_itself_proves_nothing(watch):
    assert watch.look(15.0) is Finding.NOTHING
    assert _looks(watch, 15.1, 16.0) == [(15.5, Finding.GONE)]


def test_a_stream_that_ended_while_everything_stood_still_is_gone(watch):
    watch.ended()
    assert watch.look(15.0) is Finding.GONE
