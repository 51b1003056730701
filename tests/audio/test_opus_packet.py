"""What a packet tells undecoded, held against the packets of an encoder and against libopus' own reading."""

import ctypes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallrtc_cli.audio.libopus import load
from smallrtc_cli.audio.opus_packet import has_recovery, packet_samples
from smallrtc_cli.errors import UndecodablePacket


def _toc(configuration, code=0, *, stereo=False):
    return configuration << 3 | stereo << 2 | code


@pytest.mark.parametrize(
    ("configuration", "milliseconds"),
    [(0, 10), (1, 20), (2, 40), (3, 60), (9, 20), (12, 10), (13, 20), (15, 20), (16, 2.5), (17, 5), (30, 10), (31, 20)],
)
@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_the_first_byte_tells_the_duration(configuration, milliseconds, rate):
    assert packet_samples(bytes([_toc(configuration)]), rate) == rate * milliseconds / 1000


@pytest.mark.parametrize(("code", "frames"), [(0, 1), (1, 2), (2, 2)])
def test_two_frames_last_twice_as_long(code, frames):
    assert packet_samples(bytes([_toc(31, code), 0]), 48_000) == frames * 960


def test_the_second_byte_counts_the_frames_where_the_first_says_so():
    assert packet_samples(bytes([_toc(31, 3), 0b1100_0101]), 48_000) == 5 * 960


@pytest.mark.parametrize(
    "payload",
    [b"", bytes([_toc(31, 3)]), bytes([_toc(31, 3), 0]), bytes([_toc(3, 3), 3]), bytes([_toc(31, 3), 63])],
    ids=["empty", "cut off", "no frames", "180 ms", "1.26 s"],
)
def test_what_lasts_nothing_or_too_long_is_refused(payload):
    with pytest.raises(UndecodablePacket):
        packet_samples(payload, 48_000)


@given(payload=st.binary(min_size=1, max_size=8), rate=st.sampled_from([8_000, 16_000, 48_000]))
def test_the_duration_is_what_libopus_reads(payload, rate):
    theirs = _ask("opus_packet_get_nb_samples", payload, rate)
    if theirs > 0:
        assert packet_samples(payload, rate) == theirs
    else:
        with pytest.raises(UndecodablePacket):
            packet_samples(payload, rate)


@pytest.mark.skipif(not hasattr(load(), "opus_packet_has_lbrr"), reason="needs libopus 1.5")
@given(payload=st.binary(min_size=1, max_size=300))
@example(bytes([_toc(9), 0b0100_0000]))
@example(bytes([_toc(9, stereo=True), 0b0001_0000]))
@example(bytes([_toc(11), 0b0001_0000]))
@example(bytes([_toc(31), 0b0100_0000]))
@example(bytes([_toc(9, 2), 1, 0b0100_0000, 0]))
@example(bytes([_toc(9, 3), 0b1100_0010, 255, 3, 1, 0b0100_0000, 0]) + bytes(257))
@example(bytes([_toc(9, 2), 252, 0, 0b0100_0000]) + bytes(260))
def test_recovery_is_seen_where_libopus_sees_it(payload):
    theirs = _ask("opus_packet_has_lbrr", payload)
    if theirs >= 0:
        assert has_recovery(payload) == bool(theirs)
    else:
        has_recovery(payload)  # damaged: any answer will do, but an answer


def test_no_bytes_have_no_recovery():
    assert not has_recovery(b"")


def _ask(function, payload, *arguments):
    function = getattr(load(), function)
    function.argtypes = [ctypes.c_char_p, ctypes.c_int32, *[ctypes.c_int32] * len(arguments)]
    return function(payload, len(payload), *arguments)
