"""A candidate is read, or it is None."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.protocol.candidates import CandidateLine, parse_candidate

HOST = "842163049 1 udp 2122260223 192.168.1.20 46154 typ host"
REFLEXIVE = "1 1 UDP 1677729535 203.0.113.9 61000 typ srflx raddr 10.0.0.1 rport 46154"
TCP = "4 1 tcp 1518280447 2001:db8::7 9 typ host tcptype active"


@pytest.mark.parametrize("prefix", ["", "candidate:", "a=candidate:", " candidate:"])
@pytest.mark.parametrize("tail", ["", " generation 0 ufrag EEtu network-id 1 network-cost 999", "\r\n", "  "])
def test_a_candidate_is_read_as_browsers_write_it(prefix, tail):
    expected = CandidateLine("842163049", 1, "udp", 2_122_260_223, "192.168.1.20", 46_154, "host")
    assert parse_candidate(prefix + HOST + tail) == expected


def test_where_a_reflexive_candidate_comes_from_is_read():
    candidate = parse_candidate(REFLEXIVE)
    assert (candidate.protocol, candidate.related_address, candidate.related_port) == (
        "udp",
        "10.0.0.1",
        46_154,
    )


@pytest.mark.parametrize(
    "line", [HOST, REFLEXIVE.replace("UDP", "udp"), TCP, HOST.replace("192.168.1.20", "a-b.local")]
)
def test_a_candidate_is_written_as_it_was_read(line):
    assert parse_candidate(line).to_sdp() == line


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:",
        "garbage",
        "candidate:1 1 udp",
        HOST.removesuffix(" host"),
        HOST.replace("typ", "type"),
        HOST.replace("host", "best"),
        HOST.replace("46154", "x"),
        HOST.replace("46154", "-1"),
        HOST.replace("46154", "65536"),
        HOST.replace("46154", "٤٦"),
        HOST.replace("2122260223", "4294967296"),
        HOST.replace("2122260223", "1.5"),
        HOST.replace(" 1 udp", " 0 udp"),
        HOST.replace(" 1 udp", " 257 udp"),
        HOST.replace("192.168.1.20", "192.168.1.20/24"),
        HOST.replace("192.168.1.20", "a b"),
        HOST.replace("192.168.1.20", "ü.local"),
        REFLEXIVE.replace("rport 46154", "rport x"),
        REFLEXIVE.replace("rport 46154", "rport 99999"),
        HOST + " x" * 1000,
        HOST + " \x00",
    ],
)
def test_a_bad_candidate_is_none(line):
    assert parse_candidate(line) is None


@given(st.text() | st.lists(st.sampled_from([*REFLEXIVE.split(), "", "-1", "٣", "x"])).map(" ".join))
def test_no_text_raises(text):
    candidate = parse_candidate(text)
    assert candidate is None or parse_candidate(candidate.to_sdp()) == candidate
