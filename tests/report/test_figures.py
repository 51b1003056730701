"""Figures as people read them."""

import pytest

from smallrtc_cli.report.figures import duration, figure, history, level, level_history


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (54.9, "0:54"), (723, "12:03"), (3723, "1:02:03"), (360_000, "100:00:00")]
)
def test_a_duration_is_what_a_clock_shows(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("dbfs", "words"),
    [
        (None, "–"),
        (float("-inf"), "·"),
        (-60.0, "·"),
        (-59.9, "▁ -60 dB"),
        (-30.0, "▄ -30 dB"),
        (0.0, "█ 0 dB"),
        (3.0, "█ 3 dB"),
    ],
)
def test_a_level_is_a_bar_and_a_figure_and_silence_a_dot(dbfs, words):
    assert level(dbfs) == words


def test_the_louder_the_higher():
    bars = [level(float(dbfs))[0] for dbfs in range(-59, 1)]
    assert bars == sorted(bars)
    assert len(set(bars)) == 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((None, "ms"), "–"), ((12.4, "ms"), "12 ms"), ((0.24, "%", 1), "0.2 %"), ((0.0, "ms"), "0 ms")],
)
def test_a_figure_has_its_unit_and_what_is_not_known_is_a_dash(arguments, words):
    assert figure(*arguments) == words


@pytest.mark.parametrize(
    ("levels", "bars"),
    [
        ([], ""),
        ([float("-inf"), -90, -60], "▁▁▁"),
        ([-52.5, -45, -37.5, -30, -22.5, -15, -7.5, 0], "▁▂▃▄▅▆▇█"),
        ([6.0, float("nan")], "█▁"),
    ],
)
def test_levels_are_bars_from_minus_sixty_to_full_scale(levels, bars):
    assert level_history(levels) == bars


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([1, 2, 4, 8], "▁▂▄█"),
        ([48.0, 48.0], "██"),
        ([float("inf"), float("nan"), 8], "▁▁█"),
        ([-8], "▁"),
    ],
)
def test_the_highest_of_a_history_is_a_full_bar(values, bars):
    assert history(values) == bars
