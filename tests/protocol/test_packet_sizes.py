"""Lengths on the wire: against what was measured there, and against each other."""

import pytest

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.packet_sizes import (
    LARGEST_CHUNK,
    SMALLEST_CHUNK,
    Layers,
    chosen_sctp_chunk,
    dtls_overhead,
    parse_sctp_chunk,
)

V4, V6 = Layers(4), Layers(6)
V4_TURN, V6_TURN = Layers(4, "udp"), Layers(6, "udp")


@pytest.mark.parametrize(
    ("layers", "chunks"),
    [
        (V4, [1104, 1184, 1304, 1324, 1396, 1404]),
        (V6, [1084, 1164, 1284, 1304, 1376, 1384]),
        (V4_TURN, [1100, 1180, 1300, 1320, 1392, 1400]),
    ],
)
def test_the_chunk_of_an_mtu_is_what_was_measured(layers, chunks):
    assert [layers.largest_chunk(mtu) for mtu in (1200, 1280, 1400, 1420, 1492, 1500)] == chunks


@pytest.mark.parametrize(("chunk", "udp", "v4", "v6"), [(1100, 1165, 1193, 1213), (1160, 1225, 1253, 1273)])
def test_a_packet_is_as_long_as_it_was_on_the_wire(chunk, udp, v4, v6):
    assert (V4.udp_payload(chunk), V4.ip_packet(chunk), V6.ip_packet(chunk)) == (udp, v4, v6)
    assert V4_TURN.ip_packet(chunk) == v4 + 4
    assert Layers(4, "tls").ip_packet(chunk) == v4


def test_a_chunk_is_padded_to_four_bytes():
    assert [V4.ip_packet(n) - V4.ip_packet(1100) for n in (1101, 1104, 1105)] == [4, 4, 8]


@pytest.mark.parametrize("layers", [V4, V6, V4_TURN, V6_TURN, Layers(4, None, "ECDHE-ECDSA-AES128-SHA")])
def test_the_largest_chunk_fits_and_the_next_does_not(layers):
    for mtu in range(576, 1501):
        chunk = layers.largest_chunk(mtu)
        assert layers.ip_packet(chunk) <= mtu < layers.ip_packet(chunk + 4)


@pytest.mark.parametrize(
    ("cipher", "overheads"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", {37}),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", {29}),
        ("ECDHE-ECDSA-AES128-SHA", {53, 57, 61, 65}),
    ],
)
def test_a_record_adds_what_its_cipher_does(cipher, overheads):
    assert {dtls_overhead(cipher, length) for length in range(500, 1400, 4)} == overheads


def test_a_record_of_blocks_is_as_long_as_openssl_makes_it():
    lengths = (480, 484, 488, 492, 496)
    assert [dtls_overhead("ECDHE-ECDSA-AES128-SHA", length) for length in lengths] == [65, 61, 57, 53, 65]


def test_no_chunk_is_longer_than_aiortc_reads_and_none_shorter_than_nothing():
    assert V4.largest_chunk(65_535) == LARGEST_CHUNK
    assert V4.largest_chunk(60) == 0


def test_the_cautious_chunk_is_that_of_an_mtu_of_1200():
    assert (V4.cautious_chunk, V6.cautious_chunk, V6_TURN.cautious_chunk) == (1104, 1084, 1080)


@pytest.mark.parametrize("layers", [V4, V6, V4_TURN, V6_TURN])
def test_the_ladder_leads_from_576_bytes_to_the_longest_in_steps_that_one_burst_fills(layers):
    ladder = layers.ladder()
    assert ladder == sorted(set(ladder))
    assert (ladder[0], ladder[-1]) == (layers.largest_chunk(576), LARGEST_CHUNK)
    assert {layers.largest_chunk(mtu) for mtu in (1200, 1280, 1420, 1492, 1500)} <= set(ladder)
    assert max(above - below for below, above in zip(ladder, ladder[1:], strict=False)) <= 160


def test_video_leaves_room_for_its_headers_and_is_never_longer_than_aiortcs():
    assert V4.video_payload(1280) == 1280 - 28 - 48
    assert V6_TURN.video_payload(1200) == 1200 - 52 - 48
    assert V4.video_payload(1500) == 1300


@pytest.mark.parametrize(("text", "chunk"), [("auto", None), (" AUTO ", None), ("1184", 1184), ("1187", 1184)])
def test_a_chunk_size_is_a_number_or_auto(text, chunk):
    assert parse_sctp_chunk(text, "--sctp-chunk") == chunk


@pytest.mark.parametrize("text", ["", "big", "-5", "0", "10", "1433", "99999999999", "1e3", "12.5", "١٢٠٠"])
def test_a_bad_chunk_size_is_one_sentence_with_its_source_and_a_cure(text):
    with pytest.raises(UsageError) as refused:
        parse_sctp_chunk(text, "PIPECAT_SCTP_MAX_CHUNK_SIZE")
    assert str(refused.value) == f"`PIPECAT_SCTP_MAX_CHUNK_SIZE` is `{text}`, which is no size of an SCTP chunk"
    assert f"from {SMALLEST_CHUNK} to {LARGEST_CHUNK}" in refused.value.hint


def test_a_flag_wins_over_our_variable_and_that_over_pipecats():
    both = {"SMALLRTC_SCTP_MAX_CHUNK_SIZE": "1200", "PIPECAT_SCTP_MAX_CHUNK_SIZE": "1100"}
    assert chosen_sctp_chunk("1300", both) == 1300
    assert chosen_sctp_chunk("auto", both) is None
    assert chosen_sctp_chunk(None, both) == 1200
    assert chosen_sctp_chunk(None, {"PIPECAT_SCTP_MAX_CHUNK_SIZE": "1100"}) == 1100
    assert chosen_sctp_chunk(None, {"SMALLRTC_SCTP_MAX_CHUNK_SIZE": ""}) is None
