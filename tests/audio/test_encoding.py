"""One stream of packets, whatever plays and however it is coded: decoded, it is the sound, without seams."""

from dataclasses import replace

import numpy as np
import pytest
from coded import pitch
from hypothesis import given, settings
from hypothesis import strategies as st
from received import syllables, tone, voice

from smallrtc_cli.audio import codecs
from smallrtc_cli.audio.codecs import CODECS, decoder_for
from smallrtc_cli.audio.encoding import Encoding
from smallrtc_cli.audio.opus import RATES
from smallrtc_cli.audio.opus_packet import has_recovery, packet_samples
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.audio.piece import TICKS, Piece
from smallrtc_cli.config import Opus

OPUS = CODECS["audio/opus"]
LOW_DELAY = 120
"Samples at 48 kHz by which decoded sound is late: 2.5 ms."

PROTECTED = 312
SPEECH = voice(3.0, TICKS)


class Stream:
    """One stream of a sender, and its packets; `wanted` can be set at any time."""

    def __init__(self, codec="opus", **wanted):
        self.packets, self.position = [], 0
        self.settings = Opus(**{"fec": False, **wanted})
        self.encoding = Encoding(CODECS[f"audio/{codec}".lower()], lambda channels: self.settings)

    def want(self, **changes):
        self.settings = replace(self.settings, **changes)

    def say(self, sound, rate=TICKS, piece=None):
        """In pieces of so many seconds; without, of the length that is asked for, as our own tracks give it."""
        place = 0
        while place < len(sound):
            samples = sound[place : place + round((piece or min(self.encoding.seconds, 0.02)) * rate)]
            self.packets += self.encoding.add(Piece(samples, rate, self.position))
            self.position += len(samples) * TICKS // rate
            place += len(samples)

    def heard(self, rate=TICKS, channels=1):
        decoder = decoder_for("audio/opus", rate, channels)
        return np.concatenate([decoder.decode(packet.payload) for packet in self.packets])

    @property
    def steps(self):
        positions = [packet.position for packet in self.packets]
        return [later - earlier for earlier, later in zip(positions, positions[1:], strict=False)]


def lag(heard, sound, start, end):
    """By how many samples the decoded sound is late there."""
    pieces = np.lib.stride_tricks.sliding_window_view(sound[start - 599 : end, 0].astype(float), end - start)
    return 599 - int(np.argmax(pieces @ heard[start:end, 0].astype(float)))


def fidelity(heard, sound, late):
    """The least ratio of sound to noise in 10 ms anywhere, in dB."""
    wanted = np.concatenate((np.zeros((late, 1)), sound))[: len(heard), 0].astype(float)
    noise = heard[:, 0] - wanted
    starts = range(4_800, len(heard) - 480, 240)
    return np.array(
        [10 * np.log10(np.mean(wanted[n : n + 480] ** 2) / np.mean(noise[n : n + 480] ** 2)) for n in starts]
    )


def largest_step(sound):
    return np.abs(np.diff(sound[4_800:, 0].astype(int))).max()


# Formats


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_sound_is_encoded_at_its_own_rate_and_is_2_5_ms_late(rate, channels):
    stream, sound = Stream(), tone(1.0, 440, rate)
    stream.say(np.repeat(sound, channels, axis=1), rate)
    assert set(stream.steps) == {960}
    assert (stream.encoding._encoder.rate, stream.encoding._encoder.channels) == (rate, channels)
    heard = stream.heard()
    assert pitch(heard[12_000:], TICKS) == pytest.approx(440, abs=1)
    assert level_dbfs(heard[12_000:]) == pytest.approx(level_dbfs(sound), abs=0.3)


def test_decoded_sound_is_late_by_the_look_ahead_alone():
    for application, late in (("auto", LOW_DELAY), ("audio", PROTECTED)):
        stream = Stream(application=application)
        stream.say(SPEECH)
        assert lag(stream.heard(), SPEECH, 48_000, 57_600) == pytest.approx(late, abs=1)


@pytest.mark.parametrize(
    "formats",
    [[(24_000, 1), (48_000, 1)], [(48_000, 1), (16_000, 1)], [(48_000, 1), (48_000, 2)], [(8_000, 2), (24_000, 1)]],
)
def test_another_format_in_the_middle_of_a_tone_is_not_heard(formats):
    stream = Stream()
    for number, (rate, channels) in enumerate(formats):
        phase = round(number * 0.5 * rate)
        stream.say(np.repeat(tone(0.5 * len(formats), 440, rate)[phase : phase + rate // 2], channels, axis=1), rate)
    heard = stream.heard()
    assert set(stream.steps) == {960}
    assert largest_step(heard) < 1.2 * np.abs(np.diff(tone(1.0, 440, TICKS)[:, 0].astype(int))).max()
    whole = tone(0.5 * len(formats), 440, TICKS)
    assert fidelity(heard, whole, LOW_DELAY).min() > 25


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(RATES), st.sampled_from([1, 2]), st.integers(1, 60), st.sampled_from([0, 5, 300])),
        min_size=1,
        max_size=12,
    )
)
def test_of_whatever_format_and_length_all_sound_leaves_and_in_its_time(pieces):
    """Lengths in ms; gaps in ms, too."""
    stream = Stream()
    for rate, channels, length, gap in pieces:
        stream.position += gap * TICKS // 1000
        stream.say(np.ones((length * rate // 1000, channels), np.int16), rate, piece=0.06)
        encoding, waiting = stream.encoding, stream.encoding._packetizer
        assert 0 < waiting.missing <= waiting.packet
        end = encoding._time(encoding._encoder, waiting.start + len(waiting.rest))
        assert abs(end - stream.position) <= 6  # a sample at 8 kHz
    assert all(step >= 960 for step in stream.steps)
    assert all(packet_samples(packet.payload, TICKS) == 960 for packet in stream.packets)


# What is wanted


@pytest.mark.parametrize("seconds", [0.01, 0.04, 0.06])
def test_packets_of_another_length_are_sent_from_the_next_one_on_and_the_sound_goes_on(seconds):
    stream, sound = Stream(), tone(1.2, 440, TICKS)
    stream.say(sound[:28_800])
    stream.want(packet=seconds)
    stream.say(sound[28_800:])
    ticks = round(seconds * TICKS)
    assert {packet_samples(packet.payload, TICKS) for packet in stream.packets} == {960, ticks}
    assert stream.steps == 30 * [960] + (len(stream.packets) - 31) * [ticks]
    assert fidelity(stream.heard(), sound, LOW_DELAY).min() > 18


def test_a_piece_is_asked_for_that_makes_a_packet_complete():
    stream = Stream(packet=0.01)
    assert stream.encoding.seconds == 0.01
    stream.say(SPEECH[:300], piece=1)
    assert stream.encoding.seconds == pytest.approx(0.01 - 300 / TICKS)
    stream.say(SPEECH[300:480], piece=1)
    assert (len(stream.packets), stream.encoding.seconds) == (1, 0.01)


def test_no_piece_is_asked_for_that_is_too_short_to_have_a_sample():
    stream = Stream()
    stream.say(SPEECH[:959], piece=1)
    assert stream.encoding.seconds == 0.001
    stream.want(packet=0.01)
    stream.say(SPEECH[959:960], piece=1)
    assert stream.encoding.seconds > 0


def test_a_lower_bitrate_holds_from_the_next_packet_on():
    stream = Stream(bitrate=64_000)
    stream.say(SPEECH[:48_000])
    stream.want(bitrate=16_000)
    stream.say(SPEECH[48_000:96_000])
    before, after = (sum(len(packet.payload) for packet in half) for half in (stream.packets[:50], stream.packets[50:]))
    assert before > 3 * after


def test_silence_is_left_out_once_that_is_wanted():
    stream = Stream()
    stream.say(np.zeros((48_000, 1), np.int16))
    assert all(packet.payload for packet in stream.packets)
    stream.want(dtx=True)
    stream.say(np.zeros((48_000, 1), np.int16))
    assert sum(bool(packet.payload) for packet in stream.packets[50:]) < 20
    assert set(stream.steps) == {960}


# Low delay, until something is lost


def protect(stream):
    """The other side reports loss."""
    stream.encoding.reported(0.05)
    stream.want(fec=True, loss=10)


def forgive(stream):
    """It has reported none for long enough."""
    stream.want(fec=False, loss=0)


WAYS = [("audio", None), ("voip", None), ("audio", 0.02), ("audio", 0.01)]
"What `auto` goes over to, and in which pieces the sound comes: those that are asked for, or those of a foreign track."


@pytest.mark.parametrize(("protected", "piece"), WAYS)
def test_the_change_to_protection_in_the_middle_of_speech_is_no_seam(protected, piece):
    stream = Stream(protected=protected)
    stream.say(SPEECH[:48_000], piece=piece)
    protect(stream)
    stream.say(SPEECH[48_000:], piece=piece)
    heard = stream.heard()
    assert set(stream.steps) == {960}
    assert lag(heard, SPEECH, 24_000, 33_600) == pytest.approx(LOW_DELAY, abs=1)
    assert lag(heard, SPEECH, 110_000, 119_600) == pytest.approx(LOW_DELAY, abs=8)  # not 4 ms more: nothing twice
    assert largest_step(heard) < 1.2 * largest_step(SPEECH)
    repeats = [has_recovery(packet.payload) for packet in stream.packets]
    assert not any(repeats[:90])
    assert sum(repeats[102:]) > 20


def test_a_change_without_another_way_of_coding_speech_is_as_good_as_none():
    """With a bitrate at which `audio` codes as `lowdelay` does: what is left is the seam alone."""
    stream = Stream(application="auto")
    stream.say(SPEECH[:48_000])
    stream.encoding.reported(0.05)
    stream.want(application="audio")
    stream.say(SPEECH[48_000:])
    through_seam = fidelity(stream.heard(), SPEECH, LOW_DELAY)
    assert through_seam.min() > 0.8 * np.median(through_seam)


@pytest.mark.parametrize("piece", [None, 0.02])
def test_the_way_back_waits_30_s_and_for_a_pause_and_is_no_seam(piece):
    stream, sound = Stream(), np.tile(syllables(1.0, TICKS), (36, 1))
    stream.say(sound[:48_000], piece=piece)
    protect(stream)
    stream.say(sound[48_000 : 4 * 48_000], piece=piece)
    forgive(stream)
    changed = 0
    for start in range(4 * 48_000, len(sound), 960):
        stream.say(sound[start : start + 960], piece=piece)
        if not changed and stream.encoding._coding == "lowdelay":
            changed = len(stream.packets) - 1
    heard = stream.heard()
    assert set(stream.steps) == {960}
    assert 30 <= stream.packets[changed].position / TICKS < 33
    assert stream.packets[changed].level < -50
    assert lag(heard, sound, len(heard) - 28_800, len(heard) - 14_400) == pytest.approx(LOW_DELAY, abs=1)
    assert largest_step(heard) < 1.3 * largest_step(sound)


def test_a_pause_is_used_for_the_change():
    stream = Stream()
    stream.say(SPEECH[:48_000])
    protect(stream)
    stream.say(SPEECH[48_000:52_800])
    assert stream.encoding._coding == "lowdelay"
    stream.say(np.zeros((1_920, 1), np.int16))
    assert stream.encoding._coding == "audio"


def test_an_application_that_is_set_stays():
    stream = Stream(application="voip")
    stream.say(SPEECH[:48_000])
    protect(stream)
    stream.say(SPEECH[48_000:])
    assert stream.encoding._coding == "voip"
    assert any(has_recovery(packet.payload) for packet in stream.packets[60:])


def test_without_libopus_the_change_is_the_same(monkeypatch):
    monkeypatch.setattr(codecs, "load", lambda: None)
    stream = Stream()
    stream.say(SPEECH[:48_000])
    protect(stream)
    stream.say(SPEECH[48_000:])
    assert set(stream.steps) == {960}
    assert sum(has_recovery(packet.payload) for packet in stream.packets[102:]) > 20
    assert lag(stream.heard(), SPEECH, 110_000, 119_600) == pytest.approx(LOW_DELAY, abs=8)


@pytest.mark.parametrize("codec", ["G722", "PCMU", "PCMA"])
def test_codecs_with_one_way_of_coding_do_not_change(codec):
    stream = Stream(codec)
    rate = CODECS[f"audio/{codec}".lower()].rates[0]
    sound = voice(2.0, rate)
    stream.say(sound[:rate], rate)
    first = stream.encoding._encoder
    protect(stream)
    stream.say(sound[rate:], rate)
    assert stream.encoding._encoder is first
