import numpy as np
import pytest

from smallrtc_cli.audio.pace import WINDOW, Pace


def paced(*lateness, piece=0.02):
    pace = Pace()
    for number, late in enumerate(lateness):
        pace.note(piece, number * piece + late)
    return pace


def test_pieces_that_come_in_time_have_no_spread():
    pace = paced(*[0.0] * 10)
    assert pace.spread == pytest.approx(0)
    assert pace.due == pytest.approx(0.18)


def test_before_anything_came_there_is_no_spread():
    assert Pace().spread == 0


def test_what_is_late_would_have_been_due_earlier():
    pace = paced(0.0, 0.0, 0.03)
    assert pace.due == pytest.approx(0.04)
    assert pace.spread == pytest.approx(0.03)


def test_an_early_piece_draws_a_new_line():
    assert paced(0.03, 0.03, 0.0, 0.03).due == pytest.approx(0.06)


def test_one_late_piece_in_two_hundred_is_no_spread_and_three_are():
    late = [0.0] * WINDOW
    late[100] = 0.5
    assert paced(*late).spread == pytest.approx(0)
    late[150] = late[200] = 0.5
    assert paced(*late).spread == pytest.approx(0.5)


def test_a_lasting_change_of_the_networks_delay_becomes_the_new_line():
    pace = paced(*[0.0] * 20, *[0.1] * WINDOW)
    assert pace.spread == pytest.approx(0)
    assert pace.due == pytest.approx((20 + WINDOW - 1) * 0.02 + 0.1)


def test_the_line_hardly_moves_under_jitter():
    random, dues = np.random.default_rng(2), []
    pace = Pace()
    for number in range(2_000):
        pace.note(0.02, number * 0.02 + random.uniform(0, 0.01))
        dues.append(pace.due - number * 0.02)
    assert np.ptp(dues[200:]) < 0.0005
