"""What `scripts/opus-quality` sends and hears; PESQ and STOI, which the script installs for itself, are left out."""

from itertools import islice

import numpy as np
import pytest
from opus_quality.path import send
from opus_quality.sender import RATE, Sender, Setting

from smallrtc_cli.config import Opus

CLEAN = Opus("lowdelay", 64_000, 5, fec=False, loss=0)
CORRECTED = Opus("audio", 64_000, 5, fec=True, loss=10)
IN_TURN = Setting("in turn", CORRECTED, clean=CLEAN)
LOSSES = 0.1


def voice(seconds: float) -> np.ndarray:
    """Harmonics whose pitch rises and falls, so that sound is unlike itself at any other time."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (120 * time - 3 * np.cos(2 * np.pi * 2.3 * time))
    sound = sum(np.sin(n * phase) / n for n in range(1, 20)) * (1 + 0.5 * np.sin(2 * np.pi * 3.1 * time))
    return np.rint(4_000 * sound).astype(np.int16)[:, None]


def lateness(heard: np.ndarray, said: np.ndarray, middle: int, window: int = 9_600) -> int:
    """Samples by which the sound around `middle` comes late."""
    begin, most = middle - window // 2, 400
    part = heard[begin : begin + window].astype(float)
    around = said[begin - most : begin + window + most].astype(float)
    return most - int(np.argmax(np.correlate(around, part, "valid")))


def is_celt(packet: bytes) -> bool:
    """By the configuration that a packet begins with (RFC 6716 section 3.1)."""
    return packet[0] >> 3 >= 16


def error(said: np.ndarray, setting: Setting) -> float:
    heard = send(said, setting, LOSSES, seed=3).samples.astype(float)
    return float(np.mean((heard - said[: len(heard), 0]) ** 2))


@pytest.mark.parametrize("opus", [CLEAN, CORRECTED])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_heard_is_in_step_with_what_was_said(opus, channels):
    said = voice(1.5)
    heard = send(said, Setting("", opus, channels), lost=0, seed=1).samples
    assert len(heard) == len(said)
    assert abs(lateness(heard, said[:, 0], RATE // 2)) <= 4


def test_while_no_loss_is_reported_nothing_changes():
    sender = Sender(voice(2), IN_TURN)
    sending, packets = iter(sender), []
    for _ in range(4):
        packets += islice(sending, 25)
        sender.reported(0.0)
    assert packets == list(islice(Sender(voice(2), Setting("", CLEAN)), 100))


def test_the_second_encoder_first_codes_two_packets_as_the_first_one_did_and_then_corrects():
    sender = Sender(voice(2), IN_TURN)
    packets = iter(sender)
    before = list(islice(packets, 25))
    sender.reported(0.02)
    after = list(packets)
    assert len(before + after) == sender.packets
    assert all(map(is_celt, before + after[:2]))
    assert not any(map(is_celt, after[2:10]))


def test_a_report_of_no_loss_between_two_of_loss_keeps_the_correction():
    sender = Sender(voice(3), IN_TURN)
    packets = iter(sender)
    later = []
    for fraction in (0.02, 0.0, 0.1):
        list(islice(packets, 30))
        sender.reported(fraction)
        later.append(list(islice(packets, 10))[-1])
    assert not any(map(is_celt, later))


def test_both_encoders_are_heard_in_step():
    said = voice(6)
    heard = send(said, IN_TURN, lost=0.02, seed=1).samples
    middles = range(RATE // 2, len(said) - RATE // 2, RATE // 2)
    assert max(abs(lateness(heard, said[:, 0], middle)) for middle in middles) <= 8


def test_correction_from_the_first_report_on_is_between_always_and_never():
    said = voice(6)
    never, always = error(said, Setting("", CLEAN)), error(said, Setting("", CORRECTED))
    assert always < error(said, IN_TURN) < never


def test_the_same_seed_loses_the_same_packets():
    said = voice(1)
    heard = [send(said, IN_TURN, LOSSES, seed).samples.tobytes() for seed in (1, 1, 2)]
    assert heard[0] == heard[1] != heard[2]
