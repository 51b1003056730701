"""G.711 by its tables, held against the corner values of the recommendation and against libav."""

import av
import numpy as np
import pytest

from smallrtc_cli.audio.g711 import G711Decoder, G711Encoder
from smallrtc_cli.audio.pcm import to_av_frame

EVERY_BYTE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)[:, None]


def _libav(law, mode):
    context = av.CodecContext.create({"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[law], mode)
    context.sample_rate, context.layout, context.format = 8_000, "mono", av.AudioFormat("s16")
    return context


@pytest.mark.parametrize(
    ("law", "byte", "value"),
    [
        ("PCMU", 0xFF, 0),
        ("PCMU", 0x7F, 0),
        ("PCMU", 0x80, 32_124),
        ("PCMU", 0x00, -32_124),
        ("PCMA", 0xD5, 8),
        ("PCMA", 0x55, -8),
        ("PCMA", 0xAA, 32_256),
        ("PCMA", 0x2A, -32_256),
    ],
)
def test_the_corners_are_those_of_the_recommendation(law, byte, value):
    assert G711Decoder(law).decode(bytes([byte])).tolist() == [[value]]


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_byte_decodes_as_libav_decodes_it(law):
    [frame] = _libav(law, "r").decode(av.Packet(EVERY_BYTE))
    assert G711Decoder(law).decode(EVERY_BYTE)[:, 0].tolist() == frame.to_ndarray().reshape(-1).tolist()


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_sample_is_encoded_no_worse_than_libav_does(law):
    decoder, samples = G711Decoder(law), EVERY_SAMPLE.astype(int)
    ours = decoder.decode(G711Encoder(law, len(EVERY_SAMPLE)).encode(EVERY_SAMPLE))
    [packet] = _libav(law, "w").encode(to_av_frame(EVERY_SAMPLE.tobytes(), 8_000, 1))
    theirs = decoder.decode(bytes(packet))
    assert (np.abs(ours - samples) <= np.abs(theirs - samples)).all()


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_each_value_survives_coding(law):
    decoder = G711Decoder(law)
    values = decoder.decode(EVERY_BYTE)
    np.testing.assert_array_equal(decoder.decode(G711Encoder(law, 256).encode(values)), values)


def test_samples_need_not_lie_side_by_side():
    stereo = np.arange(320, dtype=np.int16).reshape(-1, 2)
    encoder = G711Encoder("PCMU", 160)
    assert encoder.encode(stereo[:, :1]) == encoder.encode(stereo[:, :1].copy())
