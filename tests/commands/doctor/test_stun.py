import pytest

from smallrtc_cli.commands.doctor.stun import judge, judge_nat
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.rtc.reflexive import Reflection
from smallrtc_cli.rtc.refusals import Reason, Refusal
from smallrtc_cli.rtc.servers import StunServer

ONE, TWO = StunServer("stun:one.example", "one.example", 3478), StunServer("stun:[2001:db8::2]:5", "2001:db8::2", 5)
A, B = ("192.0.2.1", 3478), ("192.0.2.2", 3478)
SEEN, ELSEWHERE = ("203.0.113.7", 4242), ("203.0.113.7", 4243)


def reflection(server=ONE, refusal=None, source="10.0.0.5", **mapped):
    return Reflection(server, 0.02, {{"a": A, "b": B}[name]: seen for name, seen in mapped.items()}, source, refusal)


def test_a_server_that_answers_names_host_port_and_mapped_address():
    found = judge(reflection(a=SEEN))
    assert (found.name, found.verdict, found.seconds) == ("stun:one.example:3478", Mark.OK, 0.02)
    assert found.detail == "stun:one.example:3478 sees this machine as 203.0.113.7:4242"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal(Reason.SILENT), "no answer in 2 s"),
        (Refusal(Reason.REFUSED), "connection refused"),
        (Refusal(Reason.NAME), "the host has no address"),
        (Refusal(Reason.BROKEN, "network is unreachable"), "network is unreachable"),
    ],
)
def test_a_server_that_does_not_fails_with_the_reason_and_a_cure(refusal, words):
    found = judge(reflection(TWO, refusal))
    assert found.verdict is Mark.FAIL
    assert found.detail == f"stun:[2001:db8::2]:5: {words}"
    assert found.cure


def test_two_destinations_that_see_different_addresses_are_a_symmetric_nat():
    for found in ([reflection(a=SEEN), reflection(b=ELSEWHERE)], [reflection(a=SEEN, b=ELSEWHERE)]):
        stage = judge_nat(found)
        assert stage.verdict is Mark.WARN
        assert stage.detail.startswith("symmetric NAT")
        assert "203.0.113.7:4242" in stage.detail
        assert "203.0.113.7:4243" in stage.detail
        assert "TURN" in stage.cure


def test_two_destinations_that_see_the_same_are_a_nat_that_can_be_passed():
    stage = judge_nat([reflection(a=SEEN), reflection(b=SEEN)])
    assert (stage.verdict, stage.cure) == (Mark.OK, None)
    assert "2 destinations" in stage.detail


def test_one_destination_alone_proves_nothing():
    for found in ([reflection(a=SEEN)], [reflection(a=SEEN), reflection(TWO, Refusal(Reason.SILENT))]):
        stage = judge_nat(found)
        assert stage.verdict is Mark.OK
        assert "cannot tell" in stage.detail


def test_the_same_server_twice_is_one_destination():
    assert "cannot tell" in judge_nat([reflection(a=SEEN), reflection(a=SEEN)]).detail


def test_an_own_address_that_others_see_is_no_nat():
    assert judge_nat([reflection(a=SEEN, source=SEEN[0])]).detail.startswith("no NAT")


def test_without_an_answer_nothing_is_known():
    assert judge_nat([reflection(refusal=Refusal(Reason.SILENT))]).verdict is Mark.SKIPPED
