import pytest

from smallrtc_cli.commands.doctor.turn import Attempt, Way, judge, ways
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.rtc.refusals import Reason, Refusal
from smallrtc_cli.rtc.relays import Allocation
from smallrtc_cli.rtc.servers import TurnServer

RELAY = ("198.51.100.4", 50_000)


def turn(transport="udp", secure=False, port=3478, host="t.example", user="u"):
    return TurnServer("turn:x", host, port, transport, secure, user, "p" if user else None)


def attempt(server, refusal=None, listed=True, relay=RELAY, address="198.51.100.4"):
    return Attempt(Way(server, listed), Allocation(server, 0.01, None if refusal else relay, address, refusal))


def kinds(servers):
    return [(way.server.port, way.server.transport, way.server.secure, way.listed) for way in ways(servers)]


def test_a_server_is_tried_by_udp_tcp_and_tls_whatever_is_listed():
    assert kinds([turn(port=3479)]) == [
        (3479, "udp", False, True),
        (3479, "tcp", False, False),
        (5349, "tcp", True, False),
    ]
    assert kinds([turn("tcp", True, 443)]) == [
        (443, "tcp", True, True),
        (3478, "udp", False, False),
        (3478, "tcp", False, False),
    ]


def test_what_is_listed_is_tried_once_and_not_guessed_again():
    listed = [turn(), turn("tcp"), turn("tcp", True, 5349)]
    assert [way.listed for way in ways(listed)] == [True, True, True]


def test_each_host_is_tried_every_way_and_once_for_several_users():
    assert len(ways([turn(), turn(host="u.example")])) == 6
    assert [way.listed for way in ways([turn(), turn(user="v")])] == [True, True, False, False]
    assert ways([]) == ()


def test_a_relay_is_fine_and_named_with_its_family():
    (stage,) = judge([attempt(turn())])
    assert (stage.name, stage.verdict) == ("turn:t.example:3478?transport=udp", Mark.OK)
    assert stage.detail.endswith("gives the relay 198.51.100.4:50000 (IPv4)")
    (stage,) = judge([attempt(turn("tcp", True, 5349), relay=("2001:db8::4", 5))])
    assert stage.name == "turns:t.example:5349"
    assert "[2001:db8::4]:5 (IPv6)" in stage.detail


def test_a_relay_in_a_private_network_behind_a_public_server_is_of_no_use():
    (stage,) = judge([attempt(turn(), relay=("10.0.0.4", 5), address="8.8.8.8")])
    assert stage.verdict is Mark.WARN
    assert "external-ip" in stage.cure
    (stage,) = judge([attempt(turn(), relay=("127.0.0.1", 5), address="127.0.0.1")])
    assert stage.verdict is Mark.OK


@pytest.mark.parametrize(
    ("refusal", "words", "cure"),
    [
        (Refusal(Reason.UNAUTHORIZED, "401 Unauthorized"), "401 Unauthorized", "user name or credential"),
        (Refusal(Reason.REFUSED), "connection refused", "is the port right?"),
        (Refusal(Reason.SILENT), "no answer in 2 s", "UDP to that host is blocked"),
        (Refusal(Reason.NAME), "the host has no address", "DNS"),
        (Refusal(Reason.SAID_NO, "486 Allocation Quota Reached"), "486 Allocation Quota Reached", "log"),
        (Refusal(Reason.TLS, "wrong version number"), "no TLS: wrong version number", "speak TLS"),
        (Refusal(Reason.CERTIFICATE, "self-signed certificate"), "self-signed certificate", "SSL_CERT_FILE"),
        (Refusal(Reason.CERTIFICATE, "certificate has expired"), "has expired", "a new certificate"),
        (
            Refusal(Reason.CERTIFICATE, "hostname mismatch, certificate is not valid for 't'"),
            "mismatch",
            "use the name",
        ),
        (Refusal(Reason.CERTIFICATE, "certificate is not yet valid"), "not yet valid", "clock"),
    ],
)
def test_a_listed_way_that_is_refused_fails_with_the_true_reason(refusal, words, cure):
    (stage,) = judge([attempt(turn(), refusal)])
    assert stage.verdict is Mark.FAIL
    assert stage.detail.startswith("turn:t.example:3478?transport=udp: ")
    assert words in stage.detail
    assert cure in stage.cure


def test_without_a_user_the_cure_is_to_name_one():
    (stage,) = judge([attempt(turn(user=None), Refusal(Reason.UNAUTHORIZED, "401 Unauthorized"))])
    assert '"username"' in stage.cure


def test_another_way_that_works_is_a_cure_and_said_to_be_missing_in_the_list():
    silent, tls = turn(), turn("tcp", True, 5349)
    stages = judge([attempt(silent, Refusal(Reason.SILENT)), attempt(tls, listed=False)])
    assert stages[0].cure.endswith("; turns:t.example:5349 works: add it to the list")
    assert (stages[1].verdict, stages[1].detail.endswith("is not in the list")) == (Mark.OK, True)


def test_no_other_way_helps_against_a_wrong_password_and_no_other_server_against_silence():
    refused = attempt(turn(), Refusal(Reason.UNAUTHORIZED, "401 Unauthorized"))
    assert "works" not in judge([refused, attempt(turn("tcp"))])[0].cure
    silent = attempt(turn(), Refusal(Reason.SILENT))
    assert "works" not in judge([silent, attempt(turn(host="u.example"))])[0].cure


def test_a_way_that_is_not_listed_is_missed_only_where_udp_is_all_there_is():
    refused = Refusal(Reason.REFUSED)
    only_udp = judge(
        [attempt(turn()), attempt(turn("tcp"), refused, False), attempt(turn("tcp", True), refused, False)]
    )
    assert [stage.verdict for stage in only_udp] == [Mark.OK, Mark.WARN, Mark.WARN]
    with_tcp = judge(
        [attempt(turn("tcp")), attempt(turn(), refused, False), attempt(turn("tcp", True), refused, False)]
    )
    assert [stage.verdict for stage in with_tcp] == [Mark.OK, Mark.OK, Mark.OK]


def test_no_stage_shows_a_credential():
    secret = TurnServer("turn:x", "t.example", 3478, "udp", False, "u53r", "s3cret")
    for refusal in (None, Refusal(Reason.UNAUTHORIZED, "401 Unauthorized"), Refusal(Reason.SILENT)):
        assert "s3cret" not in repr(judge([attempt(secret, refusal)]))
