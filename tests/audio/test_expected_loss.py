"""Error correction is there while packets are lost, and some time after that."""

import pytest

from smallrtc_cli.audio.expected_loss import ExpectedLoss
from smallrtc_cli.config import Opus

SETTINGS = Opus(fec=True, loss=10)


def test_before_any_report_nothing_is_expected_to_be_lost():
    found = ExpectedLoss().applied(SETTINGS)
    assert (found.fec, found.loss) == (False, 0)


@pytest.mark.parametrize(("fraction", "loss"), [(1 / 256, 10), (0.05, 10), (0.25, 25), (1.0, 100)])
def test_the_first_loss_turns_it_on_for_no_less_than_the_settings_name(fraction, loss):
    expected = ExpectedLoss()
    expected.reported(fraction)
    found = expected.applied(SETTINGS)
    assert (found.fec, found.loss) == (True, loss)


def test_who_does_not_want_it_does_not_get_it():
    expected = ExpectedLoss()
    expected.reported(0.1)
    assert not expected.applied(Opus(fec=False)).fec


@pytest.mark.parametrize(("fraction", "reports"), [(1 / 256, 20), (0.05, 44)])
def test_it_stays_for_a_while_after_the_last_loss_and_then_goes(fraction, reports):
    expected = ExpectedLoss()
    expected.reported(fraction)
    lasted = 0
    while expected.applied(SETTINGS).fec:
        expected.reported(0.0)
        lasted += 1
    assert lasted == reports


def test_all_else_stays_as_it_is():
    expected = ExpectedLoss()
    for fraction in (0.0, 0.1):
        expected.reported(fraction)
        found = expected.applied(Opus(bitrate=12_345, dtx=True))
        assert (found.bitrate, found.dtx) == (12_345, True)
