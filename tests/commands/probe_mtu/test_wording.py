import pytest
from probed import measured, nothing, report

from smallrtc_cli.commands.probe_mtu.findings import Way
from smallrtc_cli.commands.probe_mtu.options import Present
from smallrtc_cli.commands.probe_mtu.wording import change, headline, line_to_copy, lines
from smallrtc_cli.protocol.messages import PathReportMessage
from smallrtc_cli.protocol.mtu import Outcome
from smallrtc_cli.rtc.flow import Holdup, Throughput
from smallrtc_cli.rtc.path import Limit

WIDE = Way.down(PathReportMessage(1404, 1497, 1501, "local", True))


def test_a_black_hole_is_told_with_its_evidence_and_what_it_does_to_others():
    speeds = (Throughput(1184, 262_144, 0.1), Throughput(1200, 0, 1.0))
    found = measured(down=WIDE, present=Present(1200, "PIPECAT_SCTP_MAX_CHUNK_SIZE"), speeds=speeds)
    assert lines(found) == [
        " path      10.0.0.5 → 203.0.113.9   udp4, host → srflx, DTLS 1.2 AES128-GCM-SHA256 (37 bytes)",
        " up        1277 bytes fit, 1281 do not (a black hole: nothing comes back)   chunk 1184",
        " down      1497 bytes fit, 1501 do not (the limit of its own interface)   chunk 1404",
        " fragments do not pass",
        " you use   1200 (PIPECAT_SCTP_MAX_CHUNK_SIZE) stalls: messages longer than 1184 bytes never arrive here",
        "           1100 (Pipecat) fits · 1160 (aiortc 1.16) fits · 1200 (aiortc before 1.16) stalls",
        " speed     2.6 MB/s in chunks of 1184, nothing in chunks of 1200",
        " found in 0.09 s with 55 probes",
    ]
    assert line_to_copy(found.advised) == "PIPECAT_SCTP_MAX_CHUNK_SIZE=1184"


def test_a_wide_path_to_another_server_says_what_is_not_known():
    found = lines(measured(report(2000, family=6)))
    assert found[0].startswith(" path      10.0.0.5 → 203.0.113.9   udp6, host → srflx, DTLS")
    assert found[1:] == [
        " up        1545 bytes fit, more was not tried   chunk 1432",
        " down      not told: the other side is not smallrtc",
        " you use   1100 (as Pipecat does: nothing is set) fits",
        "           1100 (Pipecat) fits · 1160 (aiortc 1.16) fits · 1200 (aiortc before 1.16) fits",
        " speed     not measured: only smallrtc takes what that needs",
        " found in 0.09 s with 55 probes",
    ]


def test_where_the_system_knows_of_the_limit_longer_chunks_pass_in_fragments():
    found = lines(measured(report(1200, Limit.ICMP, pieces=True)))
    assert " fragments pass: longer packets arrive where they may be cut" in found
    assert "1160 (aiortc 1.16) passes in fragments only" in found[5]


@pytest.mark.parametrize("relay", ["udp", "tls"])
def test_a_turn_leg_is_named(relay):
    assert f"a TURN server over {relay.upper()}" in lines(measured(report(relay=relay)))[0]


def test_a_probe_by_stun_says_so():
    assert lines(measured(report(method="stun")))[-1].endswith("the other side does not answer SCTP's")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (measured(nothing(Outcome.BELOW)), "below 576"),
        (measured(holdup=Holdup(300, 0)), "stalled, and the MTU is not the problem: the other side takes no more"),
        (measured(holdup=Holdup(300, None)), "acknowledges nothing, though packets of 1277 bytes reach it"),
        (measured(report(), report(1400)), "do not agree on the largest chunk (1184, 1304)"),
        (measured(nothing(Outcome.UNANSWERED, "stun")), "the other side answers no probes"),
    ],
)
def test_where_there_is_nothing_to_copy_the_answer_comes_first(found, words):
    assert words in headline(found)
    assert lines(found)[0] == headline(found)


def test_a_path_without_an_answer_claims_no_sizes():
    text = "\n".join(lines(measured(nothing(Outcome.UNANSWERED, "stun"))))
    assert "not known" in text
    assert "you use" not in text
    assert "searched in 1.00 s with 30 probes" in text


def test_a_change_tells_the_direction_and_what_was_before():
    before = measured(report(1400), down=WIDE)
    assert change(before, measured(report(1400), down=WIDE)) is None
    assert change(before, measured(report(1280), down=WIDE)) == (
        "up 1277 bytes fit, 1281 do not (a black hole: nothing comes back)   chunk 1184 (1304 before)"
    )
    shrunk = Way.down(PathReportMessage(1104, 1197, 1201, "icmp", True))
    assert change(before, measured(report(1400), down=shrunk)).startswith("down 1197 bytes fit")
    stalled = measured(report(1400), down=WIDE, holdup=Holdup(300, 0))
    assert change(before, stalled) == headline(stalled)
    assert change(stalled, stalled) is None
    assert change(stalled, before) == "chunks of 1304 bytes pass"
