import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.audio.edges import Edges, ramp, shortened

FADE = 40


def slope(count, value=10_000):
    return np.linspace(0, value, count).astype(np.int16)[:, None]


def steps(sound):
    return np.abs(np.diff(sound[:, 0].astype(int)))


@given(st.integers(1, 500), st.integers(-600, 600))
def test_a_piece_gets_as_much_shorter_as_a_cross_fade_leaves_room_for_and_keeps_its_ends(length, by):
    piece = np.random.default_rng(length).integers(-99, 99, (length, 2)).astype(np.int16)
    room = max(length - FADE, 0)
    fitted = shortened(piece, by, FADE)
    assert len(fitted) == length - min(max(by, -room), room)
    assert np.abs(fitted[-1].astype(int) - piece[-1]).max() <= 200 / FADE
    assert np.abs(fitted[0].astype(int) - piece[0]).max() <= 200 / FADE


@pytest.mark.parametrize("by", [-300, -50, 50, 300])
def test_a_cut_does_not_click(by):
    wave = (100 * np.sin(np.arange(480) / 9)).astype(np.int16)[:, None]
    assert steps(shortened(wave, by, FADE)).max() <= steps(wave).max() + 200 // FADE + 1


def test_a_ramp_and_its_mirror_image_sum_to_one():
    assert np.allclose(ramp(FADE) + ramp(FADE)[::-1], 1)


def test_an_end_goes_on_with_what_would_have_come():
    edges = Edges(FADE, 1)
    edges.remember(np.full((80, 1), 5_000, dtype=np.int16))
    edges.end(np.full((100, 1), 8_000, dtype=np.int16))
    out = np.zeros((80, 1), dtype=np.int16)
    edges.mix_tail(out)
    assert out[0, 0] == pytest.approx(8_000, rel=0.02)
    assert (np.diff(out[:FADE, 0]) < 0).all()
    assert not out[FADE:].any()


@pytest.mark.parametrize("known", [0, 1, 25])
def test_an_end_without_enough_to_come_mirrors_what_was(known):
    edges = Edges(FADE, 1)
    past, upcoming = slope(200), np.full((known, 1), 10_000, dtype=np.int16)
    edges.remember(past)
    edges.end(upcoming)
    out = np.zeros((60, 1), dtype=np.int16)
    edges.mix_tail(out)
    assert steps(np.concatenate((past, out))).max() < 2 * 10_000 / FADE
    assert out[: FADE - 1].all()


@pytest.mark.parametrize("request_length", [1, 7, 40, 100])
def test_a_tail_goes_over_as_many_requests_as_it_needs(request_length):
    edges = Edges(FADE, 1)
    edges.remember(np.full((FADE, 1), 9_000, dtype=np.int16))
    edges.end(np.zeros((0, 1), dtype=np.int16))
    heard = []
    for _ in range(FADE):
        out = np.zeros((request_length, 1), dtype=np.int16)
        edges.mix_tail(out)
        heard += out[:, 0].tolist()
    assert heard[:FADE] == (9_000 * ramp(FADE)[::-1, 0]).astype(int).tolist()
    assert not any(heard[FADE:])


def test_an_end_and_a_beginning_at_once_are_a_cross_fade_that_cannot_wrap():
    edges = Edges(FADE, 1)
    edges.remember(np.full((FADE, 1), 32_767, dtype=np.int16))
    edges.end(np.zeros((0, 1), dtype=np.int16))
    piece = np.full((80, 1), 32_767, dtype=np.int16)
    edges.begin(piece)
    edges.mix_tail(piece)
    assert piece.min() >= 32_765


def test_the_last_of_many_short_pieces_is_remembered():
    edges = Edges(FADE, 1)
    for number in range(100):
        edges.remember(np.array([[number]], dtype=np.int16))
    assert edges.recent[:, 0].tolist() == list(range(60, 100))
