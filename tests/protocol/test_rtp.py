"""RTP as bytes, with aiortc's reader and writer as the other opinion."""

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap
from aiortc.rtp import RtpPacket as Reference
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.protocol.rtp import RtpPacket, header_extensions, is_rtp, parse_rtp, payload_type, rtp_header

PACKET = RtpPacket(96, 65_535, 0xFFFF_FF00, 0x8000_0001, b"sound")

MAP = HeaderExtensionsMap()
MAP.configure(
    RTCRtpParameters(
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
            RTCRtpHeaderExtensionParameters(id=2, uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        ]
    )
)

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.integers(0, 0xFFFF_FFFF),
    payload=st.binary(max_size=40),
)


def reference(packet: RtpPacket) -> Reference:
    return Reference(packet.payload_type, 0, packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload)


@given(packet=packets, sources=st.lists(st.integers(0, 0xFFFF_FFFF), max_size=15), padding=st.integers(0, 255))
def test_what_aiortc_writes_is_read(packet, sources, padding):
    made = reference(packet)
    made.csrc, made.padding_size = sources, padding
    made.extensions.mid, made.extensions.audio_level = "0", (False, 30)
    assert parse_rtp(made.serialize(MAP)) == packet


@given(packet=packets, marker=st.booleans(), mid=st.text("abc0", max_size=30), level=st.integers(0, 127))
def test_aiortc_reads_what_is_written(packet, marker, mid, level):
    extensions = header_extensions([(1, mid.encode()), (2, bytes([level]))])
    found = Reference.parse(rtp_header(packet, marker=marker, extensions=extensions) + packet.payload, MAP)
    assert (found.marker, found.extensions.mid, found.extensions.audio_level) == (marker, mid, (False, level))
    assert (found.payload_type, found.sequence_number, found.timestamp, found.ssrc, found.payload) == packet


def test_without_extensions_the_header_has_twelve_bytes():
    assert header_extensions([]) == b""
    assert len(rtp_header(PACKET, marker=False, extensions=b"")) == 12


@pytest.mark.parametrize("number", [15, 255])
def test_a_number_that_needs_a_byte_of_its_own_gets_it(number):
    assert header_extensions([(number, b"x")]) == bytes([0x10, 0, 0, 1, number, 1, ord("x"), 0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0x80, 96, True), (0xBF, 0, True), (0x80, 0x80 | 111, True), (0x80, 200, False), (0x80, 205, False)]
    + [(first, 96, False) for first in (0, 3, 20, 63, 64, 127, 192, 255)],
)
def test_rtp_is_told_by_its_first_two_bytes(first, second, expected):
    assert is_rtp(bytes([first, second]) + bytes(10)) is expected


def test_what_is_too_short_is_none():
    assert not is_rtp(b"\x80\x60" + bytes(9))


def test_the_payload_type_can_be_seen_before_the_packet_is_read():
    assert payload_type(rtp_header(PACKET, marker=True, extensions=b"")) == 96


@pytest.mark.parametrize(
    "damaged",
    [
        b"\x8f\x60" + bytes(10),  # fifteen sources that are not there
        b"\x90\x60" + bytes(10),  # an extension that is not there
        b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x05",  # one that is shorter than it says
        b"\xa0\x60" + bytes(12),  # padding of no bytes
        b"\xa0\x60" + bytes(10) + b"\x09",  # padding that is longer than the packet
    ],
)
def test_what_is_damaged_is_not_read(damaged):
    assert is_rtp(damaged)
    assert parse_rtp(damaged) is None


@given(st.binary(min_size=10))
def test_no_bytes_do_harm(data):
    packet = parse_rtp(b"\x80\x60" + data)
    assert packet is None or len(packet.payload) <= len(data)


@given(st.integers(128, 191), st.binary(min_size=11))
def test_any_first_byte_of_rtp_is_read_or_refused(first, data):
    parse_rtp(bytes([first]) + data)
