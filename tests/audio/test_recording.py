"""What passed a point of the path, and when."""

import numpy as np
import pytest

from smallrtc_cli.audio.recording import Recording

RATE = 48_000


def test_a_recording_began_when_most_of_its_frames_say_so():
    """The first frame came 20 ms too early: a frame is missing behind it; others are a little late."""
    times = [0.98, *(1.0 + 0.02 * n + late for n, late in zip(range(1, 6), (0, 0.001, 0, 0.003, 0), strict=True))]
    marks = tuple((960 * index, time) for index, time in enumerate(times))
    recording = Recording(np.zeros((960 * len(marks), 2), np.int16), RATE, marks)
    assert recording.began == pytest.approx(1.0)
    assert recording.time_of(960) == pytest.approx(1.02)
    assert recording.time_of(-480) == pytest.approx(0.97)
