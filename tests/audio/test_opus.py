"""Opus by libopus: settings, silence, lost packets, and memory."""

import gc
import shutil
import subprocess
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from coded import packets_of, pitch, through
from received import voice

from smallrtc_cli.audio import signals
from smallrtc_cli.audio.files import read
from smallrtc_cli.audio.libopus import load
from smallrtc_cli.audio.opus import OpusDecoder, OpusEncoder
from smallrtc_cli.audio.opus_packet import has_recovery
from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.config import Opus
from smallrtc_cli.errors import UndecodablePacket

CELT = range(16, 32)
"Configurations of the mode that `lowdelay` is limited to (RFC 6716 table 2)."


def _encoder(rate=48_000, channels=1, **settings):
    return OpusEncoder(load(), rate, channels, Opus(**settings))


def _decoder(rate=48_000, channels=1):
    return OpusDecoder(load(), rate, channels)


def _bitrate(packets, seconds=0.02):
    return 8 * sum(map(len, packets)) / (len(packets) * seconds)


# Settings


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("bitrate", [16_000, 32_000, 64_000])
def test_the_bitrate_is_kept_for_each_channel(channels, bitrate):
    encoder = _encoder(channels=channels, bitrate=bitrate, cbr=True)
    packets = packets_of(encoder, signals.noise(1.0, channels=channels))
    assert _bitrate(packets) == pytest.approx(bitrate * channels, rel=0.05)


def test_packets_of_constant_bitrate_have_one_size():
    assert (
        len({len(packet) for packet in packets_of(_encoder(cbr=True), signals.measuring_signal(1.0, channels=1))}) == 1
    )


def test_low_delay_has_celt_and_less_delay():
    low, voip = _encoder(application="lowdelay"), _encoder(application="voip")
    assert (low.lookahead, voip.lookahead) == (120, 312)
    assert {packet[0] >> 3 for packet in packets_of(low, signals.tone(440, 0.2))} <= {*CELT}


def test_auto_is_low_delay_until_error_correction_is_wanted():
    assert [Opus(fec=fec).coding for fec in (False, True)] == ["lowdelay", "audio"]
    assert Opus(protected="voip", fec=True).coding == "voip"
    assert Opus(application="voip", fec=False).coding == "voip"
    assert (_encoder(fec=False).lookahead, _encoder(fec=True).lookahead) == (120, 312)


def test_packets_of_another_length_need_no_other_encoder():
    encoder, sound = _encoder(fec=False), signals.tone(440, 0.04, channels=1)
    packets = [encoder.encode(sound[:960])]
    encoder.tune(Opus(fec=False, packet=0.01))
    packets.append(encoder.encode(sound[960:1440]))
    assert [_decoder().samples_in(packet) for packet in packets] == [960, 480]


def test_a_decoder_that_had_another_encoders_packets_goes_on_with_those_of_one_that_was_primed():
    sound = voice(1.0, 48_000)
    old, whole, decoder = _encoder(fec=False), _encoder(fec=False), _decoder()
    heard = [decoder.decode(packet) for packet in packets_of(old, sound[: 20 * 960])]
    old.isolate()
    heard += [decoder.decode(old.encode(sound[20 * 960 : 21 * 960]))]
    new = _encoder(fec=False)
    new.prime(sound[19 * 960 : 21 * 960])
    heard += [decoder.decode(packet) for packet in packets_of(new, sound[21 * 960 : 48_000])]
    seam = slice(20 * 960, 24 * 960)
    wanted = np.concatenate((np.zeros((120, 1)), sound))[seam]
    noise, least = (
        np.std(each[seam] - wanted) for each in (np.concatenate(heard), through(whole, _decoder(), sound[:48_000]))
    )
    assert noise < 1.6 * least


def test_no_packet_is_larger_than_allowed():
    encoder = _encoder(channels=2, bitrate=256_000, packet=0.06, largest=500)
    assert max(map(len, packets_of(encoder, signals.noise(0.6, channels=2)))) <= 500


def test_what_is_beyond_the_far_sides_rate_is_not_sent():
    encoder = _encoder(application="audio", bitrate=64_000)
    high = signals.tone(10_000, 1.0)
    assert level_dbfs(through(encoder, _decoder(), high)) == pytest.approx(-18, abs=1)
    encoder.tune(Opus(application="audio", bitrate=64_000, playback_rate=16_000))
    assert level_dbfs(through(encoder, _decoder(), high)[9600:]) < -40


def test_settings_change_in_the_middle_of_a_call():
    encoder = _encoder(bitrate=64_000, fec=False)
    sound = signals.noise(1.0)
    before = _bitrate(packets_of(encoder, sound))
    encoder.tune(Opus(bitrate=16_000, fec=False))
    assert _bitrate(packets_of(encoder, sound)) < before / 2


def test_samples_need_not_lie_side_by_side():
    stereo = signals.tone(440, 1.0, channels=2)
    heard = through(_encoder(), _decoder(), stereo[:, :1])
    assert pitch(heard[12_000:], 48_000) == pytest.approx(440, abs=1)


# Between formats


@pytest.mark.parametrize("sent", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("heard", [8_000, 24_000, 48_000])
def test_the_decoder_gives_its_own_rate_whatever_was_encoded(sent, heard):
    sound = through(_encoder(sent), _decoder(heard), signals.tone(440, 1.0, rate=sent))
    assert len(sound) == heard
    assert pitch(sound[heard // 4 :], heard) == pytest.approx(440, abs=1)


def test_stereo_keeps_its_sides_and_mono_gives_both():
    left = signals.tone(440, 1.0, channels=2)
    left[:, 1] = 0
    heard = through(_encoder(channels=2, bitrate=48_000), _decoder(channels=2), left)
    assert level_dbfs(heard[:, :1]) - level_dbfs(heard[:, 1:]) > 20
    both = through(_encoder(), _decoder(channels=2), left[:, :1])
    np.testing.assert_array_equal(both[:, 0], both[:, 1])


# Silence


@pytest.mark.parametrize("application", ["voip", "audio", "lowdelay"])
def test_silence_is_told_once_and_then_left_out(application):
    encoder = _encoder(application=application, dtx=True)
    sizes = [len(packet) for packet in packets_of(encoder, signals.silence(4.0))]
    last = sizes[100:]
    assert last.count(0) >= 0.9 * len(last)
    for before, size in zip(last, last[1:], strict=False):
        assert (size == 1) == (before > 1), "the one byte comes after each packet, and only there"


def test_sound_ends_the_silence_at_once():
    encoder = _encoder(dtx=True)
    packets_of(encoder, signals.silence(2.0))
    assert all(len(packet) > 10 for packet in packets_of(encoder, signals.tone(440, 0.2)))


def test_without_dtx_silence_is_sent():
    for application in ("voip", "audio", "lowdelay"):
        assert all(packets_of(_encoder(application=application, dtx=False), signals.silence(2.0)))


def test_the_packet_that_tells_of_silence_can_be_decoded():
    encoder, decoder = _encoder(dtx=True), _decoder()
    told = next(packet for packet in packets_of(encoder, signals.silence(2.0)) if len(packet) == 1)
    assert decoder.samples_in(told) == len(decoder.decode(told)) == 960


# Lost packets


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng")
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    sentence = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."
    subprocess.run(["espeak-ng", "-v", "en-us", "-w", path, sentence], check=True, timeout=30)
    return {rate: _whole_packets(read(path, rate, 1), rate) for rate in (16_000, 48_000)}


def _whole_packets(sound, rate):
    return sound[: len(sound) // (rate // 50) * (rate // 50)]


def _error(rate, packets, fill):
    """Decibels between speech and what is wrong with it, in each eighth packet, which `fill` makes up."""
    decoder, whole = _decoder(rate), _decoder(rate)
    said = wrong = 0.0
    for index, packet in enumerate(packets[:-1]):
        right = whole.decode(packet).astype(float)
        if index % 8 != 5:
            decoder.decode(packet)
            continue
        said += np.sum(right**2)
        wrong += np.sum((fill(decoder, packets[index + 1], len(right)) - right) ** 2)
    return 10 * np.log10(said / wrong)


def _recovered(decoder, following, samples):
    found = decoder.recover(following, samples)
    return decoder.conceal(samples) if found is None else found


def _concealed(decoder, _following, samples):
    return decoder.conceal(samples)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_error_correction_brings_back_what_concealment_can_only_guess(speech, rate):
    packets = packets_of(_encoder(rate, application="voip", bitrate=40_000, fec=True, loss=10), speech[rate])
    assert _error(rate, packets, _recovered) > _error(rate, packets, _concealed) + 5


def test_without_error_correction_there_is_nothing_to_recover(speech):
    decoder = _decoder()
    for packet in packets_of(_encoder(fec=False), speech[48_000]):
        assert decoder.recover(packet, 960) is None


def test_error_correction_begins_when_loss_is_expected(speech):
    encoder, settings = _encoder(fec=True, loss=0), Opus(fec=True, loss=0)
    assert not any(map(has_recovery, packets_of(encoder, speech[48_000])))
    encoder.tune(replace(settings, loss=10))
    assert any(map(has_recovery, packets_of(encoder, speech[48_000])))


def test_concealment_goes_on_as_the_sound_was_and_fades():
    encoder, decoder = _encoder(application="lowdelay"), _decoder()
    through(encoder, decoder, signals.tone(440, 1.0))
    first = decoder.conceal(960)
    assert pitch(first, 48_000) == pytest.approx(440, abs=5)
    assert level_dbfs(first) == pytest.approx(-18, abs=3)
    assert level_dbfs(decoder.conceal(24_000)[-960:]) < level_dbfs(first) - 10


@pytest.mark.parametrize("samples", [1, 100, 960, 961, 5760, 20_000])
def test_as_much_is_made_up_as_is_asked_for(speech, samples):
    decoder = _decoder()
    packets = packets_of(_encoder(fec=True, loss=20), speech[48_000])
    for packet in packets[:50]:
        decoder.decode(packet)
    assert decoder.conceal(samples).shape == (samples, 1)
    following = next(packet for packet in packets[50:] if has_recovery(packet))
    assert decoder.recover(following, samples).shape == (samples, 1)


# Garbage and memory


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\xff\xff", b"\x0b\x00", b"\x1b\x3f" + bytes(99)])
def test_a_packet_that_is_none_is_refused_with_a_sentence(payload):
    with pytest.raises(UndecodablePacket, match=r"^an Opus packet .*[^.]$"):
        _decoder().decode(payload)


def test_the_memory_of_a_thousand_encoders_and_decoders_is_freed():
    _encoder(), _decoder()
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        made = [(_encoder(), _decoder()) for _ in range(1000)]
        full, _ = tracemalloc.get_traced_memory()
        del made
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert full - before > 20_000_000
    assert after - before < 100_000
