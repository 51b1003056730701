"""Whatever the codec, one shape: what goes in comes out, RTP counts its time right, and no bytes do harm."""

import numpy as np
import pytest
from coded import packets_of, pitch, through
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.audio import codecs, signals
from smallrtc_cli.audio.codecs import CODECS, decoder_for, encoder_for
from smallrtc_cli.audio.opus import OpusDecoder, OpusEncoder
from smallrtc_cli.audio.opus_pyav import PyavOpusDecoder, PyavOpusEncoder
from smallrtc_cli.audio.pcm import WrongFormat, level_dbfs
from smallrtc_cli.config import Opus
from smallrtc_cli.errors import UndecodablePacket

OPUS = [("audio/opus", rate, channels) for rate in (8_000, 12_000, 16_000, 24_000, 48_000) for channels in (1, 2)]
OTHERS = [("audio/G722", 16_000, 1), ("audio/PCMU", 8_000, 1), ("audio/PCMA", 8_000, 1)]


@pytest.fixture(params=["libopus", "PyAV alone"])
def way(request, monkeypatch):
    """Each of the ways to Opus."""
    if request.param == "PyAV alone":
        monkeypatch.setattr(codecs, "load", lambda: None)
    return request.param


@pytest.mark.parametrize(("mime", "rate", "channels"), [*OPUS, *OTHERS])
def test_a_tone_keeps_pitch_level_and_length(way, mime, rate, channels):
    encoder, decoder = encoder_for(mime, rate, channels, Opus()), decoder_for(mime, rate, channels)
    assert (encoder.rate, encoder.channels) == (decoder.rate, decoder.channels) == (rate, channels)
    sound = signals.tone(440, 1.0, rate=rate, channels=channels)
    heard = through(encoder, decoder, sound)
    assert heard.shape == sound.shape
    assert heard.dtype == np.int16
    steady = heard[rate // 4 :]
    assert pitch(steady, rate) == pytest.approx(440, abs=1)
    assert level_dbfs(steady) == pytest.approx(level_dbfs(sound), abs=0.5)


@pytest.mark.parametrize("seconds", [0.01, 0.02, 0.04, 0.06])
@pytest.mark.parametrize("mime", CODECS)
def test_a_packet_lasts_as_long_as_is_asked_for(way, mime, seconds):
    encoder, decoder = encoder_for(mime, 48_000, 1, Opus(packet=seconds)), decoder_for(mime, 48_000, 1)
    assert encoder.packet == seconds * encoder.rate
    for packet in packets_of(encoder, signals.tone(440, 0.24, rate=encoder.rate)):
        assert decoder.samples_in(packet) == len(decoder.decode(packet)) == encoder.packet


@pytest.mark.parametrize("mime", CODECS)
def test_after_a_reset_the_same_sound_gives_the_same_packets(way, mime):
    encoder = encoder_for(mime, 16_000, 1, Opus())
    sound = signals.measuring_signal(1.0, rate=encoder.rate, channels=1)
    first = packets_of(encoder, sound)
    encoder.reset()
    assert packets_of(encoder, sound) == first


@pytest.mark.parametrize("mime", CODECS)
def test_after_a_reset_the_same_packets_give_the_same_sound(way, mime):
    encoder, decoder = encoder_for(mime, 16_000, 1, Opus()), decoder_for(mime, 16_000, 1)
    packets = packets_of(encoder, signals.measuring_signal(1.0, rate=encoder.rate, channels=1))
    first = [decoder.decode(packet) for packet in packets]
    decoder.reset()
    np.testing.assert_array_equal([decoder.decode(packet) for packet in packets], first)


@pytest.mark.parametrize("mime", CODECS)
@pytest.mark.parametrize("wrong", ["one less", "two channels", "one dimension", "nothing", "floats"])
def test_anything_but_one_packet_of_sound_is_refused(way, mime, wrong):
    encoder = encoder_for(mime, 48_000, 1, Opus())
    sound = np.zeros((encoder.packet, 1), np.int16)
    wrongs = {
        "one less": sound[1:],
        "two channels": np.repeat(sound, 2, axis=1),
        "one dimension": sound[:, 0],
        "nothing": sound[:0],
        "floats": sound.astype(np.float32),
    }
    with pytest.raises(WrongFormat, match=rf"^a packet takes int16 of shape `\({encoder.packet}, 1\)`, not"):
        encoder.encode(wrongs[wrong])


@pytest.mark.parametrize("mime", CODECS)
def test_no_bytes_is_no_packet(way, mime):
    with pytest.raises(UndecodablePacket):
        decoder_for(mime, 48_000, 1).decode(b"")


DECODERS = {
    "libopus": decoder_for("audio/opus", 16_000, 2),
    "PyAV": PyavOpusDecoder(16_000, 2),
    **{mime: decoder_for(mime, 16_000, 1) for mime in ("audio/G722", "audio/PCMU", "audio/PCMA")},
}


@pytest.mark.parametrize("name", DECODERS)
@given(payload=st.binary(max_size=200))
def test_any_bytes_are_sound_or_a_typed_refusal(name, payload):
    decoder = DECODERS[name]
    try:
        samples = decoder.samples_in(payload)
        decoder.recover(payload, 320)
        assert decoder.decode(payload).shape == (samples, decoder.channels)
    except UndecodablePacket:
        pass


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_goes_on_after_garbage(name):
    decoder = DECODERS[name]
    mime = name if name.startswith("audio/") else "audio/opus"
    encoder = encoder_for(mime, decoder.rate, decoder.channels, Opus())
    for garbage in (b"", b"\x03", b"\xff" * 100, bytes(range(200))):
        try:
            decoder.decode(garbage)
        except UndecodablePacket:
            continue
    sound = signals.tone(440, 1.0, rate=decoder.rate, channels=decoder.channels)
    heard = through(encoder, decoder, sound)
    assert pitch(heard[decoder.rate // 4 :], decoder.rate) == pytest.approx(440, abs=1)


def test_libopus_is_used_where_it_can_be_loaded():
    assert isinstance(encoder_for("audio/opus", 48_000, 1, Opus()), OpusEncoder)
    assert isinstance(decoder_for("audio/opus", 48_000, 1), OpusDecoder)


def test_without_libopus_pyav_is_used(monkeypatch):
    monkeypatch.setattr(codecs, "load", lambda: None)
    assert isinstance(encoder_for("audio/opus", 48_000, 1, Opus()), PyavOpusEncoder)
    assert isinstance(decoder_for("audio/opus", 48_000, 1), PyavOpusDecoder)


@pytest.mark.parametrize("mime", [mime for mime in CODECS if mime != "audio/opus"])
def test_what_cannot_conceal_says_so(mime):
    decoder = decoder_for(mime, 48_000, 1)
    assert decoder.conceal(320) is None
    assert decoder.recover(b"\xd5" * 160, 320) is None


@pytest.mark.parametrize(("rate", "taken"), [(8_000, 8_000), (11_025, 12_000), (22_050, 24_000), (44_100, 48_000)])
def test_a_rate_that_opus_lacks_becomes_the_next_that_loses_nothing(rate, taken):
    assert encoder_for("audio/opus", rate, 1, Opus()).rate == taken
    assert decoder_for("audio/opus", rate, 1).rate == taken


def test_a_rate_beyond_all_becomes_the_highest():
    assert encoder_for("audio/opus", 96_000, 2, Opus()).rate == 48_000
    assert encoder_for("audio/PCMU", 96_000, 2, Opus()).rate == 8_000


@pytest.mark.parametrize("mime", [mime for mime in CODECS if mime != "audio/opus"])
def test_the_others_are_mono(mime):
    assert encoder_for(mime, 48_000, 2, Opus()).channels == decoder_for(mime, 48_000, 2).channels == 1


@pytest.mark.parametrize(
    ("mime", "rate", "ticks"),
    [("opus", 16_000, 960), ("opus", 48_000, 960), ("g722", 16_000, 160), ("pcma", 8_000, 160)],
)
def test_rtp_counts_the_20_ms_of_every_codec_by_its_own_clock(mime, rate, ticks):
    assert CODECS[f"audio/{mime}"].ticks(rate // 50, rate) == ticks


def test_mime_types_have_no_case():
    assert encoder_for("AUDIO/g722", 16_000, 1, Opus()).rate == 16_000


def test_an_unknown_codec_is_a_key_error():
    with pytest.raises(KeyError):
        decoder_for("audio/speex", 16_000, 1)


@pytest.mark.parametrize("kind", [OpusEncoder, PyavOpusEncoder])
@pytest.mark.parametrize(("rate", "channels"), [(22_050, 1), (48_000, 3), (48_000, 0)])
def test_a_format_that_opus_lacks_is_refused(kind, rate, channels):
    library = (codecs.load(),) if kind is OpusEncoder else ()
    with pytest.raises(WrongFormat, match=f"{rate} Hz with {channels} channels"):
        kind(*library, rate, channels, Opus())
