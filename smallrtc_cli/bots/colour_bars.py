"""The test card: colour bars, a mark that moves, and the number of the picture. Pure: a number gives a picture.

Whoever sees it sees whether colours are right (order and strength), whether it flows (the mark moves evenly, once
across in four seconds), and how many pictures are missing (the number).
"""

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 480
RATE = 30
"Pictures a second."

COLOURS = (
    (191, 191, 191),
    (191, 191, 0),
    (0, 191, 191),
    (0, 191, 0),
    (191, 0, 191),
    (191, 0, 0),
    (0, 0, 191),
    (0, 0, 0),
)
"White, yellow, cyan, green, magenta, red, blue and black, at three quarters of full strength, as on television."

MARK = 16
"Pixels; the side of the white mark."

_TRACK = HEIGHT - 80
"The row below which the mark moves, on black."

_ONCE_ACROSS = 4 * RATE

_DIGIT = 8
"Pixels in a dot of a digit."

_GLYPHS = (0x7B6F, 0x2492, 0x73E7, 0x73CF, 0x5BC9, 0x79CF, 0x79EF, 0x7249, 0x7BEF, 0x7BCF)
"The digits in 3 x 5 dots: 15 bits, row by row from above."


def picture(number: int) -> NDArray[np.uint8]:
    """The picture of that number, RGB, shape `(480, 640, 3)`."""
    pixels = _BARS.copy()
    left = mark_at(number)
    pixels[_TRACK + 8 : _TRACK + 8 + MARK, left : left + MARK] = 255
    _write(pixels, f"{number:06d}")
    return pixels


def mark_at(number: int) -> int:
    """The column at which the mark begins."""
    return (number % _ONCE_ACROSS) * (WIDTH - MARK) // _ONCE_ACROSS


def _bars() -> NDArray[np.uint8]:
    columns = np.arange(WIDTH) * len(COLOURS) // WIDTH
    pixels = np.broadcast_to(np.array(COLOURS, np.uint8)[columns], (HEIGHT, WIDTH, 3)).copy()
    pixels[_TRACK:] = 0
    return pixels


def _write(pixels: NDArray[np.uint8], digits: str) -> None:
    """In white, in the middle of what is black below."""
    left = (WIDTH - len(digits) * 4 * _DIGIT) // 2
    top = HEIGHT - 5 * _DIGIT - 8
    for place, digit in enumerate(digits):
        dots = np.array([int(dot) for dot in f"{_GLYPHS[int(digit)]:015b}"], np.uint8).reshape(5, 3)
        glyph = np.kron(dots, np.full((_DIGIT, _DIGIT), 255, np.uint8))
        at = left + place * 4 * _DIGIT
        pixels[top : top + glyph.shape[0], at : at + glyph.shape[1]] = glyph[:, :, None]


_BARS = _bars()
