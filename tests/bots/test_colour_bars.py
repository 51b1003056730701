"""The test card by value."""

import numpy as np

from smallrtc_cli.bots.colour_bars import COLOURS, HEIGHT, MARK, WIDTH, mark_at, picture


def test_the_bars_have_their_colours_in_order():
    pixels = picture(0)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    width = WIDTH // len(COLOURS)
    for place, colour in enumerate(COLOURS):
        bar = pixels[:300, place * width : (place + 1) * width]
        assert (bar == colour).all()


def test_the_mark_moves_evenly_and_is_where_it_says():
    places = [mark_at(number) for number in range(120)]
    steps = np.diff(places)
    assert set(steps) <= {5, 6}
    for number in (0, 17, 119):
        left = mark_at(number)
        square = picture(number)[HEIGHT - 72 : HEIGHT - 72 + MARK, left : left + MARK]
        assert (square == 255).all()
    assert mark_at(120) == mark_at(0) == 0
    assert max(places) <= WIDTH - MARK


def test_every_number_looks_different():
    below = {picture(number)[HEIGHT - 50 :].tobytes() for number in (*range(12), 100, 1000, 123_456)}
    assert len(below) == 15


def test_all_digits_look_different_and_one_is_legible():
    strip = picture(1)[HEIGHT - 48 : HEIGHT - 8, :, 0]
    columns = np.flatnonzero(strip.any(axis=0))
    last = strip[:, columns[-1] - 23 : columns[-1] + 1]
    dots = (last[4::8, 4::8] > 0).astype(int)
    assert dots.tolist() == [[0, 1, 0]] * 5 or dots.sum() == 5


def test_a_picture_belongs_to_who_asked_for_it():
    picture(0)[:] = 0
    assert picture(0).any()
