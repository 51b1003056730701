"""How a call begins at each kind of server: what is asked, where the offers go, and what is told when it fails."""

import asyncio
import json
import logging

import pytest
from scripted import Script, certified, reply

from smallrtc_cli.errors import (
    CouldNotConnect,
    NoSecureConnection,
    OfferRefused,
    ServerUnreachable,
    UnusableAnswer,
    UsageError,
)
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.protocol.signalling import IceCandidate, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.web import start
from smallrtc_cli.web.link import LinkClosed
from smallrtc_cli.web.start import Begun, begin

OFFER = SmallWebRTCRequest("v=0", "offer")
PATCH = SmallWebRTCPatchRequest("p1", (IceCandidate("c"),))
ANSWER = {"sdp": "v=0\r\n", "type": "answer", "pc_id": "p1"}
ANSWERED = reply("200 OK", json.dumps(ANSWER))
NOT_FOUND = reply("404 Not Found", '{"detail":"Not Found"}')


def started(**answer: object) -> bytes:
    return reply("200 OK", json.dumps(answer))


async def begun_and_offered(script: Script, path: str = "", **options) -> Begun:
    begun = await begin(script.url + path, **options)
    async with begun.exchange as exchange:
        assert await exchange.offer(OFFER) == ANSWER
    return begun


async def test_a_session_is_begun_and_its_offers_and_candidates_have_the_same_headers():
    async with Script(started(sessionId="s1"), ANSWERED, reply("200 OK", "{}")) as script:
        begun = await begin(f"{script.url}/v1", headers={"Authorization": "Bearer x"}, body={"room": "ü"})
        async with begun.exchange as exchange:
            await exchange.offer(OFFER)
            await exchange.candidates(PATCH)
    offers = "/v1/sessions/s1/api/offer"
    assert script.asked == ["POST /v1/start", f"POST {offers}", f"PATCH {offers}"]
    assert all(b"Authorization: Bearer x" in head for head, _ in script.requests)
    assert (begun.session_id, begun.body_given, begun.ice_servers) == ("s1", True, ())
    assert json.loads(script.requests[0][1]) == {
        "transport": "webrtc", "createDailyRoom": False, "enableDefaultIceServers": False, "body": {"room": "ü"},
    }  # fmt: skip


async def test_whatever_a_session_is_called_its_offers_reach_it():
    async with Script(started(sessionId="a/?b%20ü"), ANSWERED) as script:
        assert (await begun_and_offered(script)).session_id == "a/?b%20ü"
    assert script.asked[1] == "POST /sessions/a%2F%3Fb%2520%C3%BC/api/offer"


async def test_one_connection_serves_for_the_start_and_the_offer():
    """A load balancer that goes by connection or cookie sends the offer where the session is."""
    cookie = reply("200 OK", '{"sessionId":"s1"}', more="Set-Cookie: at=7\r\n")
    async with Script(cookie, ANSWERED) as script:
        script.url = script.url.replace("127.0.0.1", "localhost")
        await begun_and_offered(script)
        assert len(script.connections) == 1
    assert b"Cookie: at=7" in script.requests[1][0]


@pytest.mark.parametrize("status", ["404 Not Found", "405 Not Allowed", "501 Not Implemented"])
async def test_a_server_without_start_is_offered_to_directly(status):
    async with Script(reply(status, ""), ANSWERED) as script:
        begun = await begun_and_offered(script, "/v1?token=t", body={"a": 1})
    assert script.asked == ["POST /v1/start?token=t", "POST /v1/api/offer?token=t"]
    assert (begun.session_id, begun.body_given) == (None, False)


async def test_a_start_without_a_session_is_followed_by_a_direct_offer_with_its_ice_servers():
    config = {"iceServers": [{"urls": "stun:stun.example"}]}
    async with Script(started(iceConfig=config), ANSWERED) as script:
        begun = await begun_and_offered(script, "/start", body=1)
    assert script.asked == ["POST /start", "POST /api/offer"]
    assert begun == Begun(begun.exchange, (IceServerSpec(("stun:stun.example",)),), None, body_given=False)


async def test_a_start_url_that_is_not_there_is_an_error():
    async with Script(NOT_FOUND, ANSWERED) as script:
        with pytest.raises(OfferRefused, match="refused `/start` with status 404: Not Found"):
            await begin(f"{script.url}/start")
    assert script.asked == ["POST /start"]


@pytest.mark.parametrize(
    ("path", "session_id"), [("/api/offer?session_id=7", None), ("/sessions/s1/api/offer", "s1"), ("/api/offer/", None)]
)
async def test_an_offer_url_is_offered_to_at_once(path, session_id):
    async with Script(ANSWERED) as script:
        begun = await begun_and_offered(script, path, body={"a": 1})
    assert script.asked == [f"POST {path.rstrip('/')}"]
    assert begun == Begun(begun.exchange, (), session_id, body_given=False)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 502, 503])
async def test_a_server_that_refuses_is_not_asked_another_way(status):
    async with Script(reply(f"{status} X", '{"detail":"because"}'), ANSWERED) as script:
        with pytest.raises(OfferRefused, match=f"refused `/start` with status {status}: because") as raised:
            await begin(script.url)
    assert raised.value.status == status
    assert script.asked == ["POST /start"]


async def test_default_ice_servers_are_asked_for_where_the_server_is_another_machine(monkeypatch):
    monkeypatch.setattr(start, "is_loopback", lambda url: False)
    async with Script(started(sessionId="s1"), ANSWERED) as script:
        await begun_and_offered(script)
    assert json.loads(script.requests[0][1])["enableDefaultIceServers"] is True


async def test_an_ice_server_that_cannot_be_used_is_told_and_costs_nothing_else(caplog):
    config = {"iceServers": [{"urls": ["ice:what", "stun:stun.example"]}]}
    async with Script(started(sessionId="s1", iceConfig=config), ANSWERED) as script:
        with caplog.at_level(logging.WARNING):
            begun = await begun_and_offered(script)
    assert begun.ice_servers == (IceServerSpec(("stun:stun.example",)),)
    assert "an ICE server of `/start` is left out: `ice:what` is not the URL" in caplog.text


async def test_another_transport_is_an_error_and_no_reason_to_offer_directly():
    async with Script(started(wsUrl="ws://localhost/ws", sessionId="s1"), ANSWERED) as script:
        with pytest.raises(UnusableAnswer, match="over WebSocket, not over WebRTC"):
            await begin(script.url)
    assert script.asked == ["POST /start"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "answered `/start` is not JSON"),
        ("{", "answered `/start` is not JSON"),
        ("<!doctype html><title>My app</title>", "answered `/start` is not JSON but an HTML page"),
        ("[]", "is an array, not an object"),
    ],
)
async def test_what_is_no_answer_names_itself(body, sentence):
    async with Script(reply("200 OK", body)) as script:
        with pytest.raises(UnusableAnswer, match=sentence) as raised:
            await begin(script.url)
    assert raised.value.hint == "is this the URL of a SmallWebRTC server?"


@pytest.mark.parametrize("body", ['{"type":"answer","pc_id":"p"}', "<html>"])
async def test_an_offer_that_is_answered_with_something_else_names_it_too(body):
    async with Script(NOT_FOUND, reply("200 OK", body)) as script:
        begun = await begin(script.url)
        async with begun.exchange as exchange:
            with pytest.raises(UnusableAnswer, match=r"`sdp` is missing|not JSON but an HTML page") as raised:
                await exchange.offer(OFFER)
    assert raised.value.hint == "is this the URL of a SmallWebRTC server?"


async def test_a_certificate_that_nobody_signed_needs_verify_false(tmp_path):
    context, _ = certified(tmp_path)
    async with Script(started(sessionId="s1"), ANSWERED, tls=context) as script:
        with pytest.raises(NoSecureConnection, match="self-signed"):
            await begin(script.url)
        assert (await begun_and_offered(script, verify=False)).session_id == "s1"


async def test_a_url_or_a_header_that_cannot_be_meant_is_a_usage_error():
    with pytest.raises(UsageError, match="is not an http or https URL"):
        await begin("ws://localhost:7860")
    with pytest.raises(UsageError, match="is not a header"):
        await begin("localhost:7860", headers={"a b": "c"})


@pytest.mark.parametrize("answer", [None, reply("500 X", ""), reply("200 OK", "[]")])
async def test_a_start_that_fails_leaves_no_connection_open(answer):
    async with Script(answer) as script:
        with pytest.raises(CouldNotConnect):
            await begin(script.url)
        async with asyncio.timeout(10):
            await asyncio.gather(*(writer.wait_closed() for writer in script.connections.values()))


async def test_the_exchange_is_the_callers_to_close():
    async with Script(started(sessionId="s1"), ANSWERED) as script:
        begun = await begin(script.url)
        assert begun.exchange.place == f"127.0.0.1:{script.port}"
        await begun.exchange.close()
        with pytest.raises(LinkClosed):
            await begun.exchange.offer(OFFER)
    with pytest.raises(ServerUnreachable, match="nothing listens"):
        await begin(script.url)


async def test_a_session_that_the_server_has_forgotten_is_begun_anew_and_told_of():
    again, told = SmallWebRTCRequest("v=0", "offer", "p1", True), []
    replies = (started(sessionId="s1"), ANSWERED, NOT_FOUND, started(sessionId="s2"), ANSWERED, ANSWERED)
    async with Script(*replies) as script:
        begun = await begin(script.url, body={"room": 1})
        async with begun.exchange as exchange:
            exchange.on_begun_anew = lambda: told.append("anew")
            await exchange.offer(OFFER)
            assert told == []
            assert await exchange.offer(again) == ANSWER
            await exchange.offer(again)
    sessions = [each.split("/")[2] for each in script.asked if "sessions" in each]
    assert sessions == ["s1", "s1", "s2", "s2"]
    assert json.loads(script.requests[3][1])["body"] == {"room": 1}
    anew = json.loads(script.requests[4][1])
    assert (anew.get("pc_id"), anew["restart_pc"]) == (None, False)
    assert told == ["anew"]
