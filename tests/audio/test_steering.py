import pytest

from smallrtc_cli.audio.steering import Steering
from smallrtc_cli.config import Elastic

SETTINGS = Elastic()
STEP = 0.02


def steered(delay, clocks, seconds):
    """The course of a delay whose clocks differ by the fraction `clocks`."""
    steering, course = Steering(SETTINGS), []
    for _ in range(round(seconds / STEP)):
        steering.steer(delay, STEP)
        delay += (clocks - steering.correction) * STEP
        course.append(delay)
    return steering, course


@pytest.mark.parametrize("clocks", [0.0005, 0.0002, -0.0002, -0.0005])
def test_the_clocks_difference_is_learnt_and_the_delay_stays_at_its_target(clocks):
    steering, course = steered(SETTINGS.first_target, clocks, 120)
    assert steering.correction == pytest.approx(clocks, rel=0.02)
    assert max(abs(delay - SETTINGS.first_target) for delay in course) < 0.003
    assert abs(course[-1] - SETTINGS.first_target) <= SETTINGS.tolerance * 1.1


def test_equal_clocks_leave_the_sound_alone():
    steering, _ = steered(SETTINGS.first_target + SETTINGS.tolerance / 2, 0.0, 10)
    assert steering.correction == 0


def test_too_much_is_drained_at_the_fastest_rate_and_without_passing_the_target():
    _, course = steered(SETTINGS.first_target + 0.1, 0.0, 40)
    assert course[0] - course[49] == pytest.approx(49 * STEP * SETTINGS.fastest)
    assert min(course) > SETTINGS.first_target - 0.003
    assert abs(course[-1] - SETTINGS.first_target) < 0.003


def test_the_correction_is_bounded_both_ways():
    steering = Steering(SETTINGS)
    for delay, expected in ((9.0, SETTINGS.fastest), (-9.0, -SETTINGS.fastest)):
        steering.steer(delay, STEP)
        assert steering.correction == expected


def test_a_jump_is_not_mistaken_for_the_clocks():
    steering = Steering(SETTINGS)
    for _ in range(100):
        steering.steer(0.2, STEP)
    steering.rest()
    assert steering.correction == 0


def test_the_clocks_difference_outlives_a_pause():
    steering, _ = steered(SETTINGS.first_target, 0.0004, 120)
    steering.rest()
    assert steering.correction == pytest.approx(0.0004, rel=0.05)
    assert steering.error == 0


def test_the_target_rises_at_once_and_falls_slowly():
    steering = Steering(SETTINGS)
    steering.aim(0.1, STEP)
    assert steering.target == pytest.approx(0.1 + SETTINGS.margin)
    steering.aim(0.02, STEP)
    assert steering.target == pytest.approx(0.1 + SETTINGS.margin - SETTINGS.fall * STEP)


def test_the_target_has_bounds():
    steering = Steering(SETTINGS)
    for _ in range(100):
        steering.rise()
    assert steering.target == SETTINGS.most
    steering.aim(9.0, STEP)
    assert steering.target == SETTINGS.most
    for _ in range(10_000):
        steering.aim(0.0, 60.0)
    assert steering.target == SETTINGS.least
