"""The dialing side over real loopback HTTP: what works, and what each failure is called."""

import asyncio
import json

import pytest
from scripted import Script, reply

from smallrtc_cli.errors import OfferRefused, ServerUnreachable, UnknownPeer, UnusableAnswer
from smallrtc_cli.protocol.signalling import IceCandidate, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.web.client import HttpExchange
from smallrtc_cli.web.link import LONGEST_RESPONSE, LinkClosed
from smallrtc_cli.web.server import SignallingServer

OFFER = SmallWebRTCRequest("v=0", "offer", None, False, {"room": "ü"})
PATCH = SmallWebRTCPatchRequest("p1", (IceCandidate("c", "0", 0),))
ANSWER = {"sdp": "v=0\r\n", "type": "answer", "pc_id": "p1"}
OK = json.dumps(ANSWER)


class Answering:
    def __init__(self):
        self.heard = []
        self.failure = None

    async def offer(self, request):
        self.heard.append(request)
        return ANSWER

    async def candidates(self, request):
        self.heard.append(request)
        if self.failure is not None:
            raise self.failure


async def test_both_doors_fit_together():
    exchange = Answering()
    server = SignallingServer(exchange)
    async with HttpExchange(await server.start()) as client:
        assert await client.offer(OFFER) == ANSWER
        await client.candidates(PATCH)
        assert exchange.heard == [OFFER, PATCH]
        exchange.failure = UnknownPeer("no live peer has this `pc_id`", hint="send a new offer")
        with pytest.raises(OfferRefused, match="no live peer has this `pc_id`") as raised:
            await client.candidates(PATCH)
        assert (raised.value.status, raised.value.hint) == (404, "send a new offer")
    await server.close()


async def test_the_request_is_as_pipecats_client_sends_it():
    async with Script(reply("200 OK", OK)) as script:
        async with HttpExchange(f"{script.url}/sessions/7", headers={"Authorization": "Bearer x"}) as client:
            await client.offer(OFFER)
        head, body = script.requests[0]
    assert head.startswith(b"POST /sessions/7/api/offer HTTP/1.1\r\n")
    assert b"Authorization: Bearer x" in head
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {
        "sdp": "v=0", "type": "offer", "pc_id": None, "restart_pc": False, "requestData": {"room": "ü"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\nconnection: close\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{", "does not answer in HTTP"),
    ],
)
async def test_what_is_no_http_is_unreachable(answer, sentence):
    async with Script(answer) as script, HttpExchange(script.url) as client:
        with pytest.raises(ServerUnreachable, match=sentence):
            await client.offer(OFFER)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("400 Bad Request", '{"detail":"`sdp` is missing"}', "status 400: `sdp` is missing"),
        ("500 Oops", '{"info":"no bot"}', "status 500: no bot"),
        (
            "422 X",
            '{"detail":[{"loc":["body","sdp"],"msg":"Field required"}]}',
            "status 422: sdp: Field required",
        ),
        ("422 X", '{"detail":[]}', "status 422: x"),
        ("404 Not Found", "nothing\n here", "status 404: nothing here"),
        ("404 Not Found", "<html>nothing", "status 404: not found"),
        ("404 Not Found", "", "status 404: not found"),
        ("502 Bad Gateway", b"\xff", "status 502: "),
        ("400 Bad Request", "[]", "status 400: bad request"),
        ("400 Bad Request", json.dumps({"detail": "x" * 999}), "status 400: " + "x" * 200 + "…"),
        ("302 Found", "", "status 302: found"),
    ],
)
async def test_a_refusal_says_what_the_server_said(status, body, sentence):
    async with Script(reply(status, body)) as script, HttpExchange(script.url) as client:
        with pytest.raises(OfferRefused) as raised:
            await client.offer(OFFER)
    assert sentence in str(raised.value)
    assert raised.value.status == int(status.split()[0])
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("body", ["", "<html>", "{", b"\xff"])
async def test_an_answer_that_is_not_json_cannot_connect(body):
    async with Script(reply("200 OK", body)) as script, HttpExchange(script.url) as client:
        with pytest.raises(UnusableAnswer, match="is not JSON") as raised:
            await client.offer(OFFER)
    assert raised.value.hint


@pytest.mark.parametrize("body", ["[]", "{}", '{"sdp":"v=0","type":"offer","pc_id":"p"}'])
async def test_json_that_is_no_answer_cannot_connect(body):
    async with Script(reply("200 OK", body)) as script, HttpExchange(script.url) as client:
        with pytest.raises(UnusableAnswer, match="the server's answer"):
            await client.offer(OFFER)


async def test_an_endless_answer_is_cut_off():
    async with (
        Script(reply("200 OK", b" " * (LONGEST_RESPONSE + 1))) as script,
        HttpExchange(script.url) as client,
    ):
        with pytest.raises(UnusableAnswer, match="longer than 1048576 bytes"):
            await client.offer(OFFER)


async def test_a_dropped_kept_alive_connection_is_retried_once_on_a_fresh_one():
    script = Script(reply("200 OK", OK), None, reply("200 OK", OK))
    async with script, HttpExchange(script.url) as client:
        await client.offer(OFFER)
        assert await client.offer(OFFER) == ANSWER
    assert len(script.requests) == 3


async def test_it_is_not_retried_twice():
    script = Script(reply("200 OK", OK), None, None, reply("200 OK", OK))
    async with script, HttpExchange(script.url) as client:
        await client.offer(OFFER)
        with pytest.raises(ServerUnreachable, match="closed the connection"):
            await client.offer(OFFER)
    assert len(script.requests) == 3


@pytest.mark.parametrize("status", ["307 Temporary", "308 Permanent"])
async def test_a_redirect_on_the_same_host_is_followed_with_the_body(status):
    moved = reply(status, "", more="Location: /v2/api/offer\r\n")
    async with Script(moved, reply("200 OK", OK)) as script, HttpExchange(script.url) as client:
        assert await client.offer(OFFER) == ANSWER
    assert script.requests[1][0].startswith(b"POST /v2/api/offer ")
    assert script.requests[0][1] == script.requests[1][1]


@pytest.mark.parametrize(
    "location", ["http://evil.example/api/offer", "//evil.example/", "http://[::1", "javascript:alert(1)", ""]
)
async def test_a_redirect_to_another_host_is_not_followed(location):
    moved = reply("307 Temporary", "", more=f"Location: {location}\r\n")
    async with Script(moved) as script, HttpExchange(script.url, headers={"Authorization": "x"}) as client:
        with pytest.raises(OfferRefused) as raised:
            await client.offer(OFFER)
    assert raised.value.status == 307
    assert len(script.requests) == 1


async def test_redirects_in_a_circle_end():
    moved = reply("308 Permanent", "", more="Location: /api/offer\r\n")
    async with Script(*[moved] * 9) as script, HttpExchange(script.url) as client:
        with pytest.raises(OfferRefused):
            await client.offer(OFFER)
    assert len(script.requests) == 4


async def test_a_closed_client_leaves_no_task_and_may_be_closed_again():
    tasks = asyncio.all_tasks()
    server = SignallingServer(Answering())
    client = HttpExchange(await server.start())
    await client.offer(OFFER)
    await client.close()
    await client.close()
    await server.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks


async def test_a_closed_exchange_refuses_and_opens_nothing():
    async with Script() as server:
        exchange = HttpExchange(server.url)
        await exchange.close()
        with pytest.raises(LinkClosed, match=f"`127.0.0.1:{server.port}` is closed"):
            await exchange.offer(OFFER)
        with pytest.raises(LinkClosed):
            await exchange.candidates(PATCH)
        assert server.requests == []
