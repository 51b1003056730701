"""What `/start` is asked, and each shape that servers answer in."""

import pytest

from smallrtc_cli.errors import ExitCode, UnusableAnswer
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.start import MOST_ICE_URLS, Started, parse_started, start_request

STUN = IceServerSpec(("stun:stun.example",))
TURN = IceServerSpec(("turn:turn.example:3478?transport=udp",), "me", "s3cret")
TURNS = IceServerSpec(("turns:turn.example:5349?transport=tcp",), "me", "s3cret")


def test_it_is_asked_as_pipecats_client_does():
    plain = {"transport": "webrtc", "createDailyRoom": False, "enableDefaultIceServers": True}
    assert start_request(None, default_ice_servers=True) == plain
    assert start_request({"a": 1}, default_ice_servers=True) == plain | {"body": {"a": 1}}
    assert start_request([], default_ice_servers=False)["body"] == []
    assert start_request(None, default_ice_servers=False)["enableDefaultIceServers"] is False


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, Started()),
        ({"sessionId": None, "iceConfig": None}, Started()),
        ({"sessionId": ""}, Started()),
        ({"sessionId": "s1", "fileUploadUrl": "/sessions/s1/files"}, Started("s1")),
        ({"session_id": "s1", "token": "for something of theirs"}, Started("s1")),
        ({"sessionId": "s1", "iceConfig": {"iceServers": [{"urls": ["stun:stun.example"]}]}}, Started("s1", (STUN,))),
        ({"session_id": "s1", "ice_config": {"ice_servers": [{"urls": "stun:stun.example"}]}}, Started("s1", (STUN,))),
        ({"iceConfig": {"iceServers": ["stun:stun.example"]}}, Started(None, (STUN,))),
        ({"iceConfig": [{"url": "stun:stun.example", "username": None}]}, Started(None, (STUN,))),
        (
            {"iceConfig": {"iceServers": [{
                "urls": ["turn:turn.example:3478?transport=udp", "turns:turn.example:5349?transport=tcp"],
                "username": "me", "credential": "s3cret", "credentialType": "password", "ttl": 86_400,
            }]}},
            Started(None, (TURN, TURNS)),
        ),
    ],
)  # fmt: skip
def test_each_servers_spelling_is_read(answer, expected):
    assert parse_started(answer) == expected


@pytest.mark.parametrize(
    ("servers", "kept", "reason"),
    [
        ([{"urls": ["http://x", "stun:stun.example"]}], (STUN,), "`http://x` is not the URL of an ICE server"),
        ([{}, {"urls": "stun:stun.example"}], (STUN,), "has no `urls`"),
        ([7, None, "stun:stun.example"], (STUN,), "has no `urls`"),
        ([{"urls": "turn:h", "username": 7}], (), "`username` of an ICE server is a number"),
        ([{"urls": "turn:me:s3cret@h"}], (), "has credentials in its URL"),
        ("stun:stun.example", (), "`iceServers` is a string, not an array"),
    ],
)
def test_ice_servers_that_cannot_be_used_are_skipped_with_a_reason_that_holds_no_secret(servers, kept, reason):
    started = parse_started({"sessionId": "s1", "iceConfig": {"iceServers": servers}})
    assert (started.session_id, started.ice_servers) == ("s1", kept)
    assert any(reason in sentence for sentence in started.skipped)
    assert "s3cret" not in str(started)


def test_a_list_of_ice_servers_without_end_is_cut_off():
    started = parse_started({"iceConfig": {"iceServers": ["stun:stun.example"] * 5000}})
    assert len(started.ice_servers) == MOST_ICE_URLS
    assert started.skipped == (f"there are more than {MOST_ICE_URLS} URLs",)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"dailyRoom": "https://x.daily.co/y", "dailyToken": "t", "sessionId": "s1"}, "Daily"),
        ({"room_url": "https://x.daily.co/y", "token": "t"}, "Daily"),
        ({"wsUrl": "ws://localhost:7860/ws-client", "sessionId": "s1", "token": None}, "WebSocket"),
        ({"ws_url": "wss://h/ws"}, "WebSocket"),
        ({"sessionId": "s1", "moq": {"url": "https://h"}}, "MoQ"),
        ({"url": "wss://livekit.example", "token": "t", "sessionId": "s1"}, "LiveKit"),
        ({"token": "t"}, "LiveKit"),
    ],
)
def test_an_answer_for_another_transport_is_refused_by_name(answer, named):
    with pytest.raises(UnusableAnswer, match=f"begins its calls over {named}, not over WebRTC") as raised:
        parse_started(answer)
    assert "-t webrtc" in raised.value.hint
    assert raised.value.exit_code is ExitCode.CANNOT_RUN


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [([], "is an array, not an object"), (None, "is null"), ({"sessionId": 7}, "`sessionId` .* is a number")],
)
def test_what_is_no_answer_of_start_is_refused(answer, sentence):
    with pytest.raises(UnusableAnswer, match=sentence):
        parse_started(answer)
