import pytest
from probed import measured, nothing, report

from smallrtc_cli.commands.probe_mtu.findings import (
    EXIT_CODES,
    Fate,
    Verdict,
    Way,
    document,
    no_channel,
    overhead,
)
from smallrtc_cli.errors import ExitCode
from smallrtc_cli.protocol.messages import PathReportMessage
from smallrtc_cli.protocol.mtu import Outcome
from smallrtc_cli.protocol.packet_sizes import Layers
from smallrtc_cli.rtc.flow import Holdup
from smallrtc_cli.rtc.path import Limit

WIDE = Way.down(PathReportMessage(1404, 1497, 1501, "black-hole", False))
NARROW = Way.down(PathReportMessage(1104, 1197, 1201, "icmp", True))
UNKNOWN = Way.down(PathReportMessage())

# Verdicts


@pytest.mark.parametrize(
    ("found", "verdict", "code"),
    [
        (measured(), Verdict.FOUND, ExitCode.OK),
        (measured(report(), report()), Verdict.FOUND, ExitCode.OK),
        (measured(report(), report(1400)), Verdict.INCONCLUSIVE, ExitCode.INCONCLUSIVE),
        (measured(nothing(Outcome.UNANSWERED, "stun")), Verdict.INCONCLUSIVE, ExitCode.INCONCLUSIVE),
        (measured(nothing(Outcome.BELOW, "stun")), Verdict.INCONCLUSIVE, ExitCode.INCONCLUSIVE),
        (measured(nothing(Outcome.BELOW)), Verdict.BELOW, ExitCode.FAILED),
        (measured(down=Way(None, refused=576)), Verdict.BELOW, ExitCode.FAILED),
        (measured(holdup=Holdup(500, 0)), Verdict.STALLED, ExitCode.FAILED),
    ],
)
def test_a_verdict_has_its_exit_code_and_only_what_was_found_is_advised(found, verdict, code):
    assert (found.verdict, EXIT_CODES[found.verdict]) == (verdict, code)
    assert (found.advised is not None) is (verdict is Verdict.FOUND)


@pytest.mark.parametrize(("down", "advised"), [(None, 1184), (WIDE, 1184), (NARROW, 1104), (UNKNOWN, 1184)])
def test_what_is_advised_passes_in_both_directions(down, advised):
    assert measured(down=down).advised == advised


def test_of_probes_that_differ_the_most_careful_one_is_told():
    found = measured(report(1400), report(1280))
    assert (found.up.chunk, found.probes, found.seconds) == (1184, 110, 0.18)


def test_a_probe_that_only_short_requests_answer_proves_nothing():
    assert Way.up(nothing(Outcome.BELOW, "stun")) == Way(None)


def test_a_cause_that_is_not_known_here_is_none():
    assert Way.down(PathReportMessage(1184, 1277, 1281, "gremlins", False)).limit is None


# What becomes of other sizes


@pytest.mark.parametrize(
    ("limit", "pieces", "fate"),
    [
        (Limit.LOCAL, True, Fate.IN_PIECES),
        (Limit.ICMP, True, Fate.IN_PIECES),
        (Limit.ICMP, False, Fate.STALLS),
        (Limit.BLACK_HOLE, False, Fate.STALLS),
        (Limit.BLACK_HOLE, True, Fate.STALLS),  # a router that does not tell: nobody has it cut
    ],
)
def test_longer_chunks_pass_only_where_the_sending_system_knows_and_fragments_pass(limit, pieces, fate):
    way = Way.up(report(1280, limit, pieces=pieces))
    assert [way.fate(chunk) for chunk in (1100, 1184, 1188)] == [Fate.FITS, Fate.FITS, fate]


# Without a channel


@pytest.mark.parametrize(
    ("state", "path", "words"),
    [
        ("connecting", report(1500), "SCTP was not established within 5 s; 1497 bytes pass, so the MTU is not"),
        ("connected", report(1500), "no data channel was opened within 5 s; 1497 bytes pass, so the MTU is not"),
        ("connecting", nothing(Outcome.BELOW), "not even 576 bytes pass"),
        ("connecting", nothing(Outcome.BELOW, "stun"), "the path does not tell"),
        ("connecting", None, "the path does not tell"),
    ],
)
def test_without_a_channel_it_is_said_whether_the_path_is_the_reason(state, path, words):
    error = no_channel(state, path, 5.0)
    assert words in str(error)
    assert (error.exit_code, bool(error.hint)) == (ExitCode.CANNOT_RUN, True)


# For scripts


def test_the_document_has_these_keys_in_this_order():
    assert document(measured(report(relay="udp"), down=WIDE)) == {
        "version": 1,
        "command": "probe-mtu",
        "verdict": "found",
        "path": {
            "local": {"type": "host", "address": "10.0.0.5", "port": 4000},
            "remote": {"type": "srflx", "address": "203.0.113.9", "port": 5000},
            "family": 4,
            "relay": "udp",
        },
        "up": {"chunk": 1180, "ip_packet": 1277},
        "down": {"chunk": 1404, "ip_packet": 1497},
        "cause": "black-hole",
        "fragments_pass": False,
        "overhead": {"sctp": 28, "dtls": 37, "turn": 4, "udp": 8, "ip": 20},
        "seconds": 0.09,
        "probes": 55,
    }
    keys = "version command verdict path up down cause fragments_pass overhead seconds probes"
    assert list(document(measured())) == keys.split()


def test_what_nobody_knows_is_null():
    found = document(measured(nothing(Outcome.UNANSWERED, "stun")))
    assert [found[key] for key in ("down", "cause", "fragments_pass")] == [None, None, None]
    assert found["up"] == {"chunk": None, "ip_packet": None}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("relay", [None, "udp", "tcp"])
@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_the_layers_add_up_to_the_packet(family, relay, cipher):
    layers = Layers(family, relay, cipher)
    assert 1184 + sum(overhead(layers, 1184).values()) == layers.ip_packet(1184)
