"""The signalling server over real loopback HTTP, with an exchange that writes down what it hears."""

import asyncio
import json
import logging
import os
import socket
from pathlib import Path

import aiohttp
import pytest

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import CannotRun, ServerClosing, Unavailable, UnknownPeer
from smallrtc_cli.protocol.ice_servers import parse_ice_servers
from smallrtc_cli.web import body as body_module
from smallrtc_cli.web import server as server_module
from smallrtc_cli.web import site as site_module
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.guard import parse_origins
from smallrtc_cli.web.rates import Rate
from smallrtc_cli.web.server import SignallingServer
from smallrtc_cli.web.sessions import Sessions

OFFER = {"sdp": "v=0", "type": "offer"}
ANSWER = {"sdp": "v=0\r\n", "type": "answer", "pc_id": "p1"}


class Recorder:
    """An exchange that says yes, or raises what it was given."""

    def __init__(self):
        self.heard = []
        self.failure = None
        self.gate = None
        self.reached = asyncio.Event()
        self.ended = asyncio.Event()

    async def offer(self, request):
        await self._hear(request)
        return ANSWER

    async def candidates(self, request):
        await self._hear(request)

    async def _hear(self, request):
        self.heard.append(request)
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.ended.set()


@pytest.fixture
def exchange():
    return Recorder()


@pytest.fixture
async def url(exchange):
    server = SignallingServer(exchange, limits=Limits(body=2000, sdp=100, candidates=2))
    yield await server.start()
    await server.close()


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(http, method, url, **options):
    async with http.request(method, url, **options) as response:
        return response, await response.json(content_type="application/json")


def open_sockets():
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sorted(target for link in links if (target := _target(link)).startswith("socket:"))


def _target(link):
    try:
        return str(link.readlink())
    except OSError:  # the descriptor that listed the folder
        return ""


async def test_an_offer_is_answered_with_a_content_length(http, url, exchange):
    response, body = await ask(http, "POST", f"{url}/api/offer", json=OFFER | {"requestData": {"a": 1}})
    assert (response.status, body) == (200, ANSWER)
    assert int(response.headers["Content-Length"]) > 0
    assert exchange.heard[0].request_data == {"a": 1}


async def test_candidates_are_handed_over(http, url, exchange):
    body = {"pc_id": "p1", "candidates": [{"candidate": "c", "sdpMid": None, "sdpMLineIndex": 0}]}
    response, answer = await ask(http, "PATCH", f"{url}/api/offer", json=body)
    assert (response.status, answer) == (200, {"status": "success"})
    assert exchange.heard[0].candidates[0].sdp_mid == "0"


async def test_the_status_says_ready(http, url):
    response, body = await ask(http, "GET", f"{url}/status")
    assert (response.status, body) == (200, {"status": "ready", "transports": ["webrtc"]})


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "application/json; charset=x"])
async def test_json_is_read_whatever_it_is_called(http, url, content_type):
    response, _ = await ask(
        http, "POST", f"{url}/api/offer", data=json.dumps(OFFER), headers={"Content-Type": content_type}
    )
    assert response.status == 200


MALFORMED = [
    ("POST", b"", "is not JSON"),
    ("POST", b"{", "is not JSON"),
    ("POST", b"sdp=v%3D0&type=offer", "is not JSON"),
    ("POST", b"\xff\xfe{}", "is not UTF-8"),
    ("POST", b'{"sdp":NaN}', "`NaN`"),
    ("POST", b"[" * 1900, "nested too deeply"),
    ("POST", b"[]", "the body is an array"),
    ("POST", b"null", "the body is null"),
    ("POST", b'"offer"', "the body is a string"),
    ("POST", b"7", "the body is a number"),
    ("POST", b"{}", "`type` is missing"),
    ("POST", b'{"sdp":1,"type":"offer"}', "`sdp` is a number"),
    ("POST", b'{"sdp":"v=0","type":"answer"}', "not `offer`"),
    ("POST", b'{"sdp":"v=0","type":"\\ud800"}', "not `offer`"),
    ("POST", b'{"sdp":"v=0","type":"offer","pc_id":[]}', "`pc_id` is an array"),
    ("POST", json.dumps(OFFER | {"sdp": "v" * 101}).encode(), "more than 100"),
    ("PATCH", b"", "is not JSON"),
    ("PATCH", b"[]", "the body is an array"),
    ("PATCH", b'{"pc_id":null,"candidates":[]}', "`pc_id` is missing"),
    ("PATCH", b'{"pc_id":"p","candidates":7}', "`candidates` is a number"),
    ("PATCH", b'{"pc_id":"p","candidates":[{},{},{}]}', "more than 2"),
    ("PATCH", b'{"pc_id":"p","candidates":[[]]}', "a candidate is an array"),
]


@pytest.mark.parametrize(("method", "body", "sentence"), MALFORMED)
async def test_a_malformed_request_is_400_and_the_exchange_never_hears_of_it(
    http, url, exchange, method, body, sentence
):
    response, answer = await ask(http, method, f"{url}/api/offer", data=body)
    assert response.status == 400
    assert sentence in answer["detail"]
    assert exchange.heard == []


async def send_raw(url, data, *, hang_up=False):
    """The first line of what comes back, until the server closes or one answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(data)
    if hang_up:
        writer.write_eof()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


POST = b"POST /api/offer HTTP/1.1\r\nHost: localhost\r\nAuthorization: s3cret\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\r\n\r\n", b" 400 "),
        (b"s3cret\r\n\r\n", b" 400 "),
        (POST + b"Content-Length: s3cret\r\n\r\n", b" 400 "),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", b" 400 "),
        (POST + b"Transfer-Encoding: chunked\r\n\r\ns3cret\r\n", b" 400 "),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\ns3cret", b" 400 "),
        (POST + b"X: " + b"s3cret" * 3000 + b"\r\n\r\n", b" 400 "),
        (POST + b"Host: evil.example\r\n\r\n", b" 400 "),
        (POST + b"Expect: s3cret\r\nContent-Length: 0\r\n\r\n", b" 417 "),
        (POST + b"Content-Type: \xff;charset=\xff\r\nContent-Length: 2\r\n\r\n{}", b" 400 "),
        (b"GET /status HTTP/1.0\r\n\r\n", b" 403 "),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b" 404 "),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b" 404 "),
    ],
)
async def test_malformed_http_is_a_4xx_and_is_not_quoted_in_the_log(url, caplog, data, status):
    assert status in await send_raw(url, data)
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text
    assert all(record.levelno < logging.ERROR for record in caplog.records)


async def test_a_client_that_hangs_up_inside_its_body_is_no_error_of_ours(url, caplog, exchange):
    await send_raw(url, POST + b"Content-Length: 50\r\n\r\n{", hang_up=True)
    assert caplog.records == []
    assert exchange.heard == []


async def test_a_body_over_the_limit_is_413(http, url, exchange):
    response, answer = await ask(http, "POST", f"{url}/api/offer", data=b" " * 2001)
    assert response.status == 413
    assert "2000 bytes" in answer["detail"]
    assert exchange.heard == []


async def test_a_body_that_does_not_arrive_is_408(url, monkeypatch):
    monkeypatch.setattr(body_module, "_BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST /api/offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_an_unknown_path_is_404_in_json(http, url):
    response, answer = await ask(http, "GET", f"{url}/nowhere%0a")
    assert response.status == 404
    assert answer == {"detail": "there is nothing at `/nowhere?`"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/offer", "PATCH, POST"),
        ("DELETE", "/api/offer", "PATCH, POST"),
        ("OPTIONS", "/api/offer", "PATCH, POST"),
        ("POST", "/status", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_with_allow(http, url, method, path, allowed):
    response, answer = await ask(http, method, url + path)
    assert (response.status, response.headers["Allow"]) == (405, allowed)
    assert method in answer["detail"]


async def test_a_refusal_keeps_its_status_and_hint(http, url, exchange):
    exchange.failure = UnknownPeer("no live peer has this `pc_id`", hint="send a new offer")
    response, answer = await ask(http, "PATCH", f"{url}/api/offer", json={"pc_id": "p"})
    assert response.status == 404
    assert answer == {"detail": "no live peer has this `pc_id`", "hint": "send a new offer"}


async def test_a_server_that_closes_says_when_to_come_back(http, url, exchange):
    exchange.failure = ServerClosing("the server is shutting down")
    response, _ = await ask(http, "POST", f"{url}/api/offer", json=OFFER)
    assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_our_own_defect_is_logged_but_not_told(http, url, exchange, caplog):
    exchange.failure = KeyError("secret")
    response, answer = await ask(http, "POST", f"{url}/api/offer", json=OFFER)
    assert (response.status, answer) == (500, {"detail": "internal error"})
    assert [record.exc_info[0] for record in caplog.records] == [KeyError]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "rebound.example"}, {"Host": ""}],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/offer"), ("GET", "/status"), ("GET", "/nowhere")])
async def test_strangers_are_forbidden_everywhere(http, url, exchange, headers, method, path):
    response, answer = await ask(http, method, url + path, json=OFFER, headers=headers)
    assert response.status == 403
    assert answer["detail"]
    assert not any(name.startswith("Access-Control") for name in response.headers)
    assert exchange.heard == []


async def test_the_servers_own_page_may_call(http, url):
    response, _ = await ask(http, "POST", f"{url}/api/offer", json=OFFER, headers={"Origin": url})
    assert response.status == 200


async def test_neither_bodies_nor_requests_are_logged(http, url, caplog):
    caplog.set_level(logging.DEBUG)
    await ask(http, "POST", f"{url}/api/offer", json=OFFER | {"request_data": "s3cret"})
    await ask(http, "POST", f"{url}/api/offer", data=b"s3cret")
    assert "s3cret" not in caplog.text
    assert "/api/offer" not in caplog.text


async def test_an_offer_goes_on_when_its_client_hangs_up(http, url, exchange):
    exchange.gate = asyncio.Event()
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    body = json.dumps(OFFER).encode()
    writer.write(b"POST /api/offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await exchange.reached.wait()
    writer.close()
    await writer.wait_closed()
    await ask(http, "GET", f"{url}/status")  # by now the server has seen the other connection end
    exchange.gate.set()
    async with asyncio.timeout(5):
        await exchange.ended.wait()


async def test_a_closed_server_leaves_no_task_and_no_socket(exchange):
    sockets, tasks = open_sockets(), asyncio.all_tasks()
    server = SignallingServer(exchange)
    url = await server.start()
    async with aiohttp.ClientSession() as http:
        await ask(http, "GET", f"{url}/status")
        await server.close()
    await server.close()
    await asyncio.sleep(0)
    assert open_sockets() == sockets
    assert asyncio.all_tasks() == tasks


async def test_close_does_not_wait_for_a_request_that_never_ends(exchange, monkeypatch):
    monkeypatch.setattr(server_module, "_DRAIN_TIMEOUT", 0.05)
    exchange.gate = asyncio.Event()
    server = SignallingServer(exchange)
    url = await server.start()
    async with aiohttp.ClientSession() as http:
        offer = asyncio.create_task(ask(http, "POST", f"{url}/api/offer", json=OFFER))
        await exchange.reached.wait()
        async with asyncio.timeout(5):
            await server.close()
        with pytest.raises(aiohttp.ClientError):
            await offer


async def test_a_taken_port_is_named(exchange):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotRun, match=f"cannot listen on `127.0.0.1` port {port}: ") as raised:
            await SignallingServer(exchange).start("127.0.0.1", port)
    assert raised.value.hint


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.0.1"])
async def test_the_url_of_a_free_port_reaches_the_server(http, exchange, host):
    server = SignallingServer(exchange)
    url = await server.start(host)
    response, _ = await ask(http, "GET", f"{url}/status")
    await server.close()
    assert response.status == 200


def test_the_process_can_list_its_sockets():
    with socket.socket() as probe:
        assert f"socket:[{os.fstat(probe.fileno()).st_ino}]" in open_sockets()


# what `serve` opens beside the offers


@pytest.fixture
async def opened(exchange):
    """Starts servers with doors of their own."""
    servers = []

    async def start(*, host="127.0.0.1", limits=Limits(), tls=None, **door):  # noqa: B008  # frozen
        servers.append(SignallingServer(exchange, limits=limits, door=Door(**door)))
        return await servers[-1].start(host, tls=tls)

    yield start
    for server in servers:
        await server.close()


async def begun(http, url, **asked):
    response, body = await ask(http, "POST", f"{url}/start", json=asked)
    assert response.status == 200
    return body["sessionId"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"null", b"{}", b'{"transport":"webrtc","createDailyRoom":false,"body":null,"namespace":7}'],
)
async def test_start_gives_a_session_whatever_it_is_sent(http, url, body):
    response, answer = await ask(http, "POST", f"{url}/start", data=body)
    assert response.status == 200
    assert list(answer) == ["sessionId"]
    assert len(answer["sessionId"]) == 36


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"transport": "daily"}, "there is no transport `daily`"),
        ({"transport": 7}, "`transport` is a number"),
        ({"createDailyRoom": True}, "asks for Daily"),
        ([], "the body is an array"),
    ],
)
async def test_start_says_what_it_cannot_give(http, url, asked, sentence):
    response, answer = await ask(http, "POST", f"{url}/start", json=asked)
    assert response.status == 400
    assert sentence in answer["detail"]


async def test_start_tells_the_ice_servers_with_urls_in_an_array(http, opened):
    servers = parse_ice_servers(
        '["stun:stun.example:3478",{"urls":"turn:turn.example","username":"u","credential":"p"}]'
    )
    url = await opened(ice_servers=servers)
    _, answer = await ask(http, "POST", f"{url}/start", json={"enableDefaultIceServers": True})
    assert answer["iceConfig"] == {
        "iceServers": [
            {"urls": ["stun:stun.example:3478"]},
            {"urls": ["turn:turn.example"], "username": "u", "credential": "p"},
        ]
    }


@pytest.mark.parametrize(("asked", "told"), [(True, True), (False, False), (None, False), ("true", False)])
async def test_a_public_stun_server_is_told_only_to_those_who_ask_for_it(http, url, asked, told):
    _, answer = await ask(http, "POST", f"{url}/start", json={"enableDefaultIceServers": asked})
    assert ("iceConfig" in answer) is told
    if told:
        assert answer["iceConfig"] == {"iceServers": [{"urls": ["stun:stun.l.google.com:19302"]}]}


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        ({}, {"room": 7}),
        ({"request_data": None, "requestData": {}}, {"room": 7}),
        ({"request_data": {}, "requestData": {"own": 1}}, {"own": 1}),
        ({"request_data": {"own": 1}, "requestData": {"other": 1}}, {"own": 1}),
    ],
)
async def test_an_offer_in_a_session_has_its_own_data_or_that_of_the_start(http, url, exchange, sent, data):
    session = await begun(http, url, body={"room": 7})
    response, body = await ask(http, "POST", f"{url}/sessions/{session}/api/offer", json=OFFER | sent)
    assert (response.status, body) == (200, ANSWER)
    assert (exchange.heard[0].session_id, exchange.heard[0].request_data) == (session, data)


async def test_a_null_body_of_start_is_an_empty_object(http, url, exchange):
    session = await begun(http, url, body=None)
    await ask(http, "POST", f"{url}/sessions/{session}/api/offer", json=OFFER)
    assert exchange.heard[0].request_data == {}


async def test_a_direct_offer_may_name_its_session_in_the_query(http, url, exchange):
    session = await begun(http, url)
    response, _ = await ask(http, "POST", f"{url}/api/offer?session_id={session}", json=OFFER)
    assert (response.status, exchange.heard[0].session_id) == (200, session)


async def test_a_direct_offer_without_one_has_no_session(http, url, exchange):
    await ask(http, "POST", f"{url}/api/offer", json=OFFER)
    await ask(http, "POST", f"{url}/api/offer?session_id=", json=OFFER)
    assert [request.session_id for request in exchange.heard] == [None, None]


@pytest.mark.parametrize("path", ["/sessions/guessed/api/offer", "/api/offer?session_id=guessed"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_session_that_was_not_begun_here_is_404(http, url, exchange, method, path):
    response, answer = await ask(http, method, url + path, json=OFFER | {"pc_id": "p"})
    assert (response.status, answer["hint"]) == (404, "begin one with `POST /start`")
    assert exchange.heard == []


async def test_candidates_in_a_session_are_handed_over(http, url, exchange):
    session = await begun(http, url)
    response, _ = await ask(http, "PATCH", f"{url}/sessions/{session}/api/offer", json={"pc_id": "p1"})
    assert (response.status, exchange.heard[0].candidates) == (200, ())


async def test_a_refused_offer_keeps_its_status_and_the_session(http, url, exchange):
    session = await begun(http, url)
    path = f"{url}/sessions/{session}/api/offer"
    exchange.failure = Unavailable("no relay")
    assert (await ask(http, "POST", path, json=OFFER))[0].status == 503
    assert (await ask(http, "POST", path, data=b"{"))[0].status == 400
    exchange.failure = None
    assert (await ask(http, "POST", path, json=OFFER))[0].status == 200


async def test_a_session_ends_with_its_last_bot(http, opened):
    sessions = Sessions()
    url = await opened(sessions=sessions)
    session = await begun(http, url)
    sessions.entered(session)
    sessions.left(session)
    response, _ = await ask(http, "POST", f"{url}/sessions/{session}/api/offer", json=OFFER)
    assert response.status == 404


async def test_other_paths_of_a_session_are_404(http, url):
    session = await begun(http, url)
    response, answer = await ask(http, "POST", f"{url}/sessions/{session}/files", data=b"x")
    assert (response.status, "there is nothing at" in answer["detail"]) == (404, True)


async def test_sessions_that_wait_are_bounded(http, opened):
    url = await opened(sessions=Sessions(most_waiting=1))
    await begun(http, url)
    response, _ = await ask(http, "POST", f"{url}/start")
    assert response.status == 503
    assert 50 <= int(response.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("path", ["/start", "/api/offer"])
async def test_a_client_that_asks_too_often_is_told_when_to_come_back(http, opened, path):
    url = await opened(rate=Rate(per_second=0.01, burst=2))
    statuses = [(await ask(http, "POST", url + path, json=OFFER))[0] for _ in range(3)]
    assert [response.status for response in statuses] == [200, 200, 429]
    assert int(statuses[-1].headers["Retry-After"]) > 90
    assert (await ask(http, "PATCH", f"{url}/api/offer", json={"pc_id": "p"}))[0].status == 200


ALLOWED = "https://app.example"


async def test_an_allowed_page_may_ask_beforehand_and_then_call(http, opened):
    url = await opened(allowed_origins=parse_origins([ALLOWED]), token="s3cret")
    asked = {"Origin": ALLOWED, "Access-Control-Request-Method": "PATCH"}
    async with http.options(f"{url}/api/offer", headers=asked) as response:
        assert (response.status, await response.read()) == (204, b"")
        headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == ALLOWED
    assert {"PATCH", "POST"} <= set(headers["Access-Control-Allow-Methods"].split(", "))
    assert {"content-type", "authorization"} <= set(headers["Access-Control-Allow-Headers"].split(", "))
    assert (headers["Access-Control-Max-Age"], headers["Vary"]) == ("600", "Origin")
    own = {"Origin": ALLOWED, "Authorization": "Bearer s3cret"}
    response, _ = await ask(http, "POST", f"{url}/api/offer", json=OFFER, headers=own)
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, ALLOWED)


async def test_an_allowed_page_can_read_why_it_was_refused(http, opened):
    url = await opened(allowed_origins=parse_origins([ALLOWED]))
    response, _ = await ask(http, "POST", f"{url}/api/offer", data=b"{", headers={"Origin": ALLOWED})
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (400, ALLOWED)


async def test_credentials_of_the_browser_are_never_asked_for(http, opened):
    url = await opened(allowed_origins=parse_origins(["*"]))
    response, _ = await ask(http, "GET", f"{url}/status", headers={"Origin": "http://any.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "http://any.example"
    assert "Access-Control-Allow-Credentials" not in response.headers


async def test_other_pages_stay_forbidden_beside_allowed_ones(http, opened, exchange):
    url = await opened(allowed_origins=parse_origins([ALLOWED]))
    for method in ("OPTIONS", "POST"):
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        response, _ = await ask(http, method, f"{url}/api/offer", json=OFFER, headers=headers)
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers
    assert exchange.heard == []


async def test_a_name_of_this_machine_may_be_used_where_it_was_given(http, opened):
    url = await opened(names=frozenset({"mylaptop.local"}))
    response, _ = await ask(http, "GET", f"{url}/status", headers={"Host": "MyLaptop.local:7860"})
    assert response.status == 200


API = [("POST", "/start"), ("POST", "/api/offer"), ("PATCH", "/api/offer"), ("GET", "/status"), ("GET", "/stats"),
       ("GET", "/metrics"), ("POST", "/sessions/x/api/offer"), ("GET", "/nowhere"), ("GET", "/client/x")]  # fmt: skip


async def numbers():
    return {"sessions": [{"id": "a"}]}


@pytest.mark.parametrize(("method", "path"), API)
async def test_with_a_token_nothing_is_answered_without_it(http, opened, exchange, method, path):
    url = await opened(token="s3cret", stats=numbers, metrics=lambda: "")
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "smallrtc_ticket=x"}):
        response, answer = await ask(http, method, url + path, json=OFFER, headers=wrong)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "token" in answer["detail"]
    assert exchange.heard == []


async def test_the_token_is_taken_from_header_and_url(http, opened):
    url = await opened(token="s3cret")
    for path, headers in (("", {"Authorization": "Bearer s3cret"}), ("?token=s3cret", {})):
        response, _ = await ask(http, "POST", f"{url}/api/offer{path}", json=OFFER, headers=headers)
        assert response.status == 200


async def test_the_token_is_not_logged(http, opened, caplog, exchange):
    caplog.set_level(logging.DEBUG)
    url = await opened(token="s3cret")
    exchange.failure = KeyError("ours")
    await ask(http, "POST", f"{url}/api/offer?token=s3cret", json=OFFER)
    await send_raw(url, b"GET /?token=s3cret HTTP/9.9\r\nAuthorization: Bearer s3cret\r\n\r\n")
    assert len(caplog.records) == 2
    assert "s3cret" not in caplog.text


async def test_the_status_says_more_where_it_is_given(http, opened):
    url = await opened(status=lambda: {"bot": "bot.py:bot", "error": None})
    _, body = await ask(http, "GET", f"{url}/status")
    assert body == {"status": "ready", "transports": ["webrtc"], "bot": "bot.py:bot", "error": None}


async def test_statistics_are_json_and_metrics_are_text(http, opened):
    async def metrics():
        return "smallrtc_sessions 1\n"

    for given in (metrics, lambda: "smallrtc_sessions 1\n"):
        url = await opened(stats=numbers, metrics=given)
        assert (await ask(http, "GET", f"{url}/stats"))[1] == await numbers()
        async with http.get(f"{url}/metrics") as response:
            assert await response.text() == "smallrtc_sessions 1\n"
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_there_is_no_more_than_the_door_has(http, url):
    for path in ("/", "/page/index.html", "/client", "/client/", "/stats", "/metrics"):
        assert (await ask(http, "GET", url + path))[0].status == 404


@pytest.mark.parametrize("path", ["/status", "/nowhere", "/start"])
async def test_no_answer_is_sniffed_or_referred(http, url, path):
    response, _ = await ask(http, "GET", url + path)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


async def test_too_many_connections_are_dropped_and_the_others_served(http, url, monkeypatch, caplog):
    monkeypatch.setattr(site_module, "MOST_CONNECTIONS", 2)
    port = int(url.rpartition(":")[2])
    await ask(http, "GET", f"{url}/status")
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    dropped = await held[-1][0].read()
    assert dropped == b""
    assert (await ask(http, "GET", f"{url}/status"))[0].status == 200
    for _, writer in held:
        writer.close()
    assert "more than 2 connections" in caplog.text
