import pytest

from smallrtc_cli.commands.doctor.udp import Passage, judge
from smallrtc_cli.report.stages import Mark

STUN, TURN, TLS = ("s.example", 3478), ("t.example", 3478), ("t.example", 5349)
OWN = {"192.0.2.5": True}


@pytest.mark.parametrize(
    ("passage", "verdict", "words"),
    [
        (Passage(OWN), Mark.OK, "UDP passes on this machine"),
        (Passage({}), Mark.OK, "UDP passes"),
        (Passage(OWN, answered=[STUN], silent=[TURN]), Mark.OK, "reaches 1 of 2 servers"),
        (Passage({"192.0.2.5": False}), Mark.FAIL, "to itself arrives (192.0.2.5)"),
        (Passage({"192.0.2.5": True, "fd00::1": False}), Mark.WARN, "fd00::1"),
        (Passage(OWN, silent=[TURN], by_tcp=[TURN]), Mark.FAIL, "t.example:3478 takes TCP"),
        (Passage(OWN, silent=[TURN], by_tcp=[TLS]), Mark.FAIL, "t.example:5349 takes TCP"),
        (Passage(OWN, silent=[TURN], by_tcp=[STUN]), Mark.WARN, "nobody answers by UDP, and nobody takes TCP"),
        (Passage(OWN, silent=[STUN, TURN]), Mark.WARN, "(s.example:3478, t.example:3478)"),
        (Passage(OWN, answered=[STUN], silent=[TURN], by_tcp=[TURN]), Mark.OK, "reaches 1 of 2"),
    ],
)
def test_udp_is_blocked_where_tcp_passes_and_udp_does_not(passage, verdict, words):
    stage = judge(passage)
    assert stage.verdict is verdict
    assert words in stage.detail
    assert bool(stage.cure) is (verdict is not Mark.OK)
