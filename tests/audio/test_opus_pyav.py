"""Opus without libopus: what is left, and what is missing."""

import numpy as np
import pytest
from coded import packets_of, through

from smallrtc_cli.audio import signals
from smallrtc_cli.audio.libopus import load
from smallrtc_cli.audio.opus import OpusDecoder
from smallrtc_cli.audio.opus_packet import has_recovery
from smallrtc_cli.audio.opus_pyav import PyavOpusDecoder, PyavOpusEncoder
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.config import Opus


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_its_packets_are_opus_to_libopus_and_the_reverse(rate):
    sound = signals.measuring_signal(1.0, rate=rate, channels=1)
    packets = packets_of(PyavOpusEncoder(rate, 1, Opus()), sound)
    theirs, ours = OpusDecoder(load(), 48_000, 1), PyavOpusDecoder(48_000, 1)
    heard = [theirs.decode(packet) for packet in packets]
    np.testing.assert_array_equal(np.concatenate(heard), np.concatenate([ours.decode(packet) for packet in packets]))


def test_what_a_lower_rate_cannot_hold_does_not_come_back_as_another_tone():
    settings = Opus(application="audio", bitrate=64_000)
    heard = through(PyavOpusEncoder(48_000, 1, settings), PyavOpusDecoder(16_000, 1), signals.tone(9_000, 1.0))
    assert level_dbfs(heard[4_000:]) < -50


def test_nothing_is_recovered_or_concealed():
    decoder = PyavOpusDecoder(48_000, 1)
    packets = packets_of(
        PyavOpusEncoder(16_000, 1, Opus(loss=20)), signals.measuring_signal(1.0, rate=16_000, channels=1)
    )
    assert any(map(has_recovery, packets)), "the far side can recover, if it has libopus"
    assert all(decoder.recover(packet, 960) is None for packet in packets)
    assert decoder.conceal(960) is None


def test_a_call_of_an_hour_does_not_wrap_what_libav_counts():
    encoder = PyavOpusEncoder(8_000, 1, Opus(packet=0.06))
    encoder._encoder._position = 3600 * 48_000
    assert len(encoder.encode(signals.tone(440, 0.06, rate=8_000))) > 10
