"""Ten minutes of a call whose microphone has another clock than its speaker, in seconds.

Real: `LiveSound`, by which a microphone's sound leaves, and `ElasticBuffer`, by which the speaker gets what comes back.
Simulated: time, both sound cards (their clocks are 200 ppm apart, their callbacks up to 3 ms late), and all that lies
between the two: an encoder, a path with up to 10 ms of jitter and a bot that gives every packet back at once.
8 kHz, for speed: both rooms count in samples of whatever rate.
"""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from played import RATE, largest_step, play, step_of_a_tone, tone

from smallrtc_cli.audio.live import LiveSound
from smallrtc_cli.config import OutboundAudio

MINUTES = 10
PIECE = RATE // 100
PACKET = RATE // 50


def spoken(sound: NDArray[np.int16], ppm: float) -> tuple[list[bytes], list[int], list[float], LiveSound]:
    """What leaves, its positions and when, of a microphone whose clock is `ppm` fast."""
    live, random = LiveSound(1, replace(OutboundAudio(), rate=RATE)), np.random.default_rng(11)
    pieces = np.split(sound, range(PIECE, len(sound), PIECE))
    times = 0.01 * np.arange(1, len(pieces) + 1) / (1 + ppm * 1e-6) + random.uniform(0, 0.003, len(pieces))
    frames, positions, left = [], [], []

    def leave(now: float) -> None:
        while (frame := live.take(now)) is not None:
            frames.append(frame[0])
            positions.append(frame[1])
            left.append(now)

    for now, piece in zip(times, pieces, strict=True):
        while live.due(now) < now:
            leave(live.due(now))
        live.put(piece.tobytes())
        leave(now)
    return frames, positions, left, live


@pytest.mark.parametrize("ppm", [200, -200])
def test_ten_minutes_of_clocks_200_ppm_apart_neither_grow_nor_click(ppm):
    frames, positions, left, live = spoken(tone(60 * MINUTES), ppm)
    assert live.dropped == 0
    assert set(np.diff(positions)) == {PACKET}, "no frame of silence, no gap"
    sent = np.frombuffer(b"".join(frames), "<i2").reshape(-1, 1)
    assert np.count_nonzero(~sent.reshape(-1, PACKET).any(axis=1)) <= 1, "but for the beginning"

    played = play(sent, ppm=ppm, jitter=0.005, late=lambda due: np.array(left) - due)
    buffer = played.buffer
    assert buffer.underruns == buffer.overruns == 0
    each_10_s = played.levels[6_000:58_000].reshape(-1, 1_000).mean(axis=1)
    assert np.ptp(each_10_s) < 0.004, "seconds of sound that wait: as many at the end as at the beginning"
    given_less = buffer.samples_dropped - buffer.samples_inserted
    assert given_less == pytest.approx(ppm * 1e-6 * 60 * MINUTES * RATE, rel=0.4), "the clocks did differ"
    assert largest_step(played.sound) < step_of_a_tone() * 1.01
