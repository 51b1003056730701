"""A moment of sound, and what libav gets of it."""

import numpy as np
import pytest

from smallrtc_cli.audio.pcm import to_bytes
from smallrtc_cli.audio.piece import Piece


@pytest.mark.parametrize("channels", [1, 2])
def test_a_piece_says_what_it_is_and_becomes_the_same_frame(channels):
    samples = np.arange(320 * channels, dtype=np.int16).reshape(-1, channels)
    piece = Piece(samples, 16_000, 1920)
    assert (piece.channels, piece.seconds) == (channels, 0.02)
    frame = piece.frame
    assert (frame.samples, frame.sample_rate, frame.pts, len(frame.layout.channels)) == (320, 16_000, 640, channels)
    assert frame.pts * frame.time_base == pytest.approx(0.04)
    assert to_bytes(frame) == samples.tobytes()
