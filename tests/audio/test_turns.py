"""How long the bot takes to answer, by value."""

import heapq

import numpy as np
import pytest

from smallrtc_cli.audio.turns import Turns

STEP = 0.02
SILENCE = float("-inf")
ME, BOT = 0, 1


def within(spans, at):
    return any(begin <= at < end for begin, end in spans)


def played(mine=(), bots=(), until=10.0, *, quiet=SILENCE, loud=-25.0, late=0.0, ahead=0.0):
    """Turns of a conversation of (begin, end) spans; what I say is told `late`, what is heard `ahead` of its time."""
    turns, tellings = Turns(), []
    for n in range(round(until / STEP)):
        at = n * STEP
        heapq.heappush(tellings, (at + late, n, ME, loud if within(mine, at + 1e-6) else quiet))
        heapq.heappush(tellings, (at - ahead, n, BOT, -30.0 if within(bots, at + 1e-6) else SILENCE))
    while tellings:
        _, n, side, dbfs = heapq.heappop(tellings)
        (turns.said if side == ME else turns.heard)(dbfs, n * STEP, STEP)
    return turns


def answers(*args, **kwargs):
    return pytest.approx(played(*args, **kwargs).answers, abs=1e-6)


@pytest.mark.parametrize(("late", "ahead"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.2), (0.06, 0.14)])
def test_an_answer_counts_from_the_end_of_my_speech_to_the_first_sound_of_the_bots(late, ahead):
    assert answers([(1.0, 2.0)], [(2.64, 4.0)], late=late, ahead=ahead) == [0.64]


def test_each_turn_has_its_answer():
    mine = [(1.0, 2.0), (4.0, 4.5), (7.0, 7.5)]
    assert answers(mine, [(2.5, 3.5), (5.2, 6.0), (8.4, 9.0)]) == [0.5, 0.7, 0.9]


@pytest.mark.parametrize("late", [0.0, 0.1])
@pytest.mark.parametrize("delay", [0.04, 0.2, 0.28])
def test_an_answer_before_my_silence_is_certain_counts_with_its_true_value(delay, late):
    assert [delay] == answers([(1.0, 2.0)], [(2.0 + delay, 4.0)], late=late, ahead=0.1)


def test_short_pauses_are_inside_a_speech():
    mine = [(1.0, 1.3), (1.54, 2.0), (2.26, 2.6)]
    assert answers(mine, [(3.0, 4.0)]) == [0.4]


def test_an_answer_into_a_short_pause_is_an_interruption_and_no_answer():
    assert answers([(1.0, 1.5), (1.76, 3.0)], [(1.6, 4.0)]) == []


def test_bot_sound_that_was_on_already_is_no_answer():
    assert answers([(1.0, 2.0)], [(0.5, 4.0)]) == []


def test_after_a_barge_in_the_next_beginning_of_the_bots_is_the_answer():
    assert answers([(1.0, 2.0)], [(0.5, 1.6), (3.0, 4.0)]) == [1.0]


def test_a_pause_between_the_bots_words_is_no_beginning():
    assert answers([(1.0, 2.0)], [(2.5, 2.8), (3.0, 3.2), (3.4, 3.6)]) == [0.5]
    assert answers([(1.0, 2.0)], [(0.5, 1.9), (2.1, 3.0)]) == []


def test_a_turn_has_one_answer():
    assert answers([(1.0, 2.0)], [(2.5, 3.0), (4.0, 5.0), (6.0, 7.0)]) == [0.5]


def test_a_bot_that_never_answers_has_no_answer_and_the_next_turn_counts_by_itself():
    assert answers([(1.0, 2.0), (5.0, 6.0)], [(6.3, 7.0)]) == [0.3]


def test_a_bot_that_speaks_first_starts_no_turn():
    assert answers([], [(0.5, 2.0), (4.0, 5.0)]) == []


def test_an_echo_that_runs_beside_my_speech_is_no_answer():
    mine = [(1.0, 2.0), (4.0, 5.0)]
    assert answers(mine, [(begin + 0.06, end + 0.06) for begin, end in mine]) == []


def test_a_click_of_mine_is_no_speech_and_one_of_the_bots_no_answer():
    assert answers([(1.0, 1.04)], [(2.0, 3.0)]) == []
    assert answers([(1.0, 2.0)], [(2.4, 2.42), (3.0, 4.0)]) == [1.0]


@pytest.mark.parametrize("noise", [-60.0, -48.0, -40.0])
def test_steady_noise_is_no_speech(noise):
    assert answers([(10.0, 11.0)], [(11.5, 12.0)], until=14.0, quiet=noise, loud=-20.0) == [0.5]


def test_noise_that_begins_in_mid_call_is_found_out():
    turns = Turns()
    random = np.random.RandomState(1)
    for n in range(1000):
        at = n * STEP
        speaks = 15.0 <= at < 16.0
        turns.said(-18.0 if speaks else -80.0 if at < 5 else -42.0 + random.uniform(-2, 2), at, STEP)
        turns.heard(-30.0 if at >= 16.5 else SILENCE, at, STEP)
    assert turns.answers == pytest.approx([0.5], abs=1e-6)


def test_ten_seconds_without_a_pause_are_one_speech():
    assert answers([(1.0, 11.0)], [(11.5, 12.0)], until=14.0, loud=-20.0) == [0.5]


def test_quantiles_are_those_of_all_answers():
    turns = Turns()
    assert turns.quantile(0.5) is None
    turns.answers += [0.2, 0.4, 0.6, 0.8, 1.0]
    assert turns.quantile(0.5) == pytest.approx(0.6)
    assert turns.quantile(0.95) == pytest.approx(0.96)
