"""What strangers and broken clients send: all of it is a 4xx in JSON, nothing is started, and calls go on."""

import asyncio
import json

import pytest
from calls import Mailbox, answering, dialed, holdings, idle_bot, until
from sdp_offers import AIORTC, CHROMIUM

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Limits
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.client import HttpExchange
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.server import SignallingServer

LIMITS = Limits(body=64 * 1024, sdp=32 * 1024, candidates=20)


def http(method, path, body=b"", *headers, host=b"localhost", version=b"HTTP/1.1"):
    """One request as its bytes; text and JSON values are encoded."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [b"%s %s %s" % (method, path, version), b"Host: " + host, *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def offer(body, *headers, path=b"/api/offer"):
    return http(b"POST", path, body, *headers)


def patch(body, path=b"/api/offer"):
    return http(b"PATCH", path, body)


def start(body):
    return http(b"POST", b"/start", body)


def sdp(text, **more):
    return offer({"sdp": text, "type": "offer", **more})


def raw(head, body=b""):
    return b"\r\n".join([*head, b"", body])


POST = (b"POST /api/offer HTTP/1.1", b"Host: localhost")
GET = (b"GET /status HTTP/1.1", b"Host: localhost")
CANDIDATE = {"candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host", "sdp_mid": "0", "sdp_mline_index": 0}
SESSION = b"/sessions/5f2f2b1e-0000-4000-8000-000000000000/api/offer"
GOOD = {"sdp": CHROMIUM, "type": "offer"}

MALFORMED = {
    # JSON
    "no body": (offer(b""), 400),
    "half an object": (offer(b"{"), 400),
    "an array": (offer([]), 400),
    "an array of offers": (offer([GOOD]), 400),
    "null": (offer(None), 400),
    "a number": (offer(7), 400),
    "a string": (offer("offer"), 400),
    "a form": (offer(b"sdp=v%3D0&type=offer", b"Content-Type: application/x-www-form-urlencoded"), 400),
    "a multipart form": (offer(b"--x\r\n\r\n--x--", b"Content-Type: multipart/form-data; boundary=x"), 400),
    "not UTF-8": (offer(b"\xff\xfe{}"), 400),
    "UTF-16": (offer(json.dumps(GOOD).encode("utf-16")), 400),
    "NaN": (offer(b'{"sdp":NaN,"type":"offer"}'), 400),
    "infinity": (offer(b'{"type":"offer","sdp":-Infinity}'), 400),
    "nested deeply": (offer(b"[" * 60_000), 400),
    "objects nested deeply": (offer(b'{"a":' * 10_000), 400),
    "a number of many digits": (offer(b'{"sdp":' + b"9" * 60_000 + b"}"), 400),
    "two objects": (offer(b"{}{}"), 400),
    "a lone surrogate": (offer(b'{"sdp":"\\ud800","type":"offer"}'), 400),
    # types
    "an empty object": (offer({}), 400),
    "no type": (offer({"sdp": "v=0"}), 400),
    "no sdp": (offer({"type": "offer"}), 400),
    "an answer": (offer({"sdp": AIORTC, "type": "answer"}), 400),
    "a rollback": (offer({"sdp": "", "type": "rollback"}), 400),
    "a number for type": (offer({"sdp": "v=0", "type": 1}), 400),
    "an object for sdp": (offer({"sdp": {}, "type": "offer"}), 400),
    "an array for pc_id": (sdp(CHROMIUM, pc_id=[]), 400),
    "a number for pc_id": (sdp(CHROMIUM, pc_id=1), 400),
    "a string for restart_pc": (sdp(CHROMIUM, restart_pc="yes"), 400),
    # SDP
    "an empty sdp": (sdp(""), 400),
    "words": (sdp("hello"), 400),
    "no media": (sdp("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"), 400),
    "only line ends": (sdp("\r\n" * 1000), 400),
    "NUL in sdp": (sdp("\0" * 100), 400),
    "a cut sdp": (sdp(CHROMIUM[:400]), 400),
    "no fingerprint": (sdp("".join(x for x in CHROMIUM.splitlines(True) if "fingerprint" not in x)), 400),
    "no ice-ufrag": (sdp("".join(x for x in CHROMIUM.splitlines(True) if "ice-ufrag" not in x)), 400),
    "a bad fingerprint": (sdp(CHROMIUM.replace("9A:04", "ZZ:ZZ")), 400),
    "a port that is a word": (sdp(CHROMIUM.replace("m=audio 9", "m=audio nine")), 400),
    "a payload type that is a word": (sdp(CHROMIUM.replace("SAVPF 111", "SAVPF opus")), 400),
    "an rtpmap without a rate": (sdp(CHROMIUM.replace("opus/48000/2", "opus")), 400),
    "a bundle of nothing": (sdp(CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 7 8 9")), 400),
    "m-lines without end": (sdp(CHROMIUM + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:x\r\n" * 100), 400),
    "an sdp over its limit": (sdp("v=0\r\n" + "a=x\r\n" * 8000), 400),
    "an unknown setup": (sdp(CHROMIUM.replace("a=setup:actpass", "a=setup:sideways")), 400),
    # candidates
    "candidates without pc_id": (patch({"candidates": [CANDIDATE]}), 400),
    "null for pc_id": (patch({"pc_id": None, "candidates": [CANDIDATE]}), 400),
    "an empty pc_id": (patch({"pc_id": "", "candidates": []}), 400),
    "an unknown pc_id": (patch({"pc_id": "p", "candidates": [CANDIDATE]}), 404),
    "a number for candidates": (patch({"pc_id": "p", "candidates": 7}), 400),
    "an object for candidates": (patch({"pc_id": "p", "candidates": {}}), 400),
    "a string for a candidate": (patch({"pc_id": "p", "candidates": ["candidate:1"]}), 400),
    "a candidate without its line": (patch({"pc_id": "p", "candidates": [{"sdp_mid": "0"}]}), 400),
    "a candidate that is a number": (patch({"pc_id": "p", "candidates": [{"candidate": 1}]}), 400),
    "a string for the index": (patch({"pc_id": "p", "candidates": [CANDIDATE | {"sdp_mline_index": "0"}]}), 400),
    "a negative index": (patch({"pc_id": "p", "candidates": [CANDIDATE | {"sdp_mline_index": -1}]}), 400),
    "a fraction for the index": (patch({"pc_id": "p", "candidates": [CANDIDATE | {"sdp_mline_index": 0.5}]}), 400),
    "too many candidates": (patch({"pc_id": "p", "candidates": [CANDIDATE] * 21}), 400),
    "an array of candidates": (patch([CANDIDATE]), 400),
    # start and sessions
    "start with an array": (start([]), 400),
    "start with a string": (start("webrtc"), 400),
    "start with another transport": (start({"transport": "daily"}), 400),
    "start with a number for transport": (start({"transport": 7}), 400),
    "start with a room of Daily": (start({"createDailyRoom": True}), 400),
    "start with much": (start({"body": "x" * 70_000}), 413),
    "an unknown session": (offer(GOOD, path=SESSION), 404),
    "candidates for an unknown session": (patch({"pc_id": "p", "candidates": []}, path=SESSION), 404),
    "someone else's session": (offer(GOOD, path=b"/api/offer?session_id=guessed"), 404),
    "a session id of NUL": (offer(GOOD, path=b"/sessions/%00/api/offer"), 404),
    "a long session id": (offer(GOOD, path=b"/sessions/" + b"a" * 5000 + b"/api/offer"), 404),
    "another path of a session": (offer(GOOD, path=b"/sessions/x/files"), 404),
    # size and framing
    "a large body": (offer(b" " * 70_000), 413),
    "a large body in chunks": (
        raw((*POST, b"Transfer-Encoding: chunked"), b"11171\r\n" + b" " * 70_001 + b"\r\n0\r\n\r\n"),
        413,
    ),
    "chunks of junk": (raw((*POST, b"Transfer-Encoding: chunked"), b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    "a negative chunk": (raw((*POST, b"Transfer-Encoding: chunked"), b"-1\r\n{}\r\n0\r\n\r\n"), 400),
    "both framings": (raw((*POST, b"Content-Length: 2", b"Transfer-Encoding: chunked"), b"0\r\n\r\n"), 400),
    "two lengths": (raw((*POST, b"Content-Length: 1", b"Content-Length: 2"), b"{}"), 400),
    "a length that is a word": (raw((*POST, b"Content-Length: ten"), b"{}"), 400),
    "a negative length": (raw((*POST, b"Content-Length: -1"), b"{}"), 400),
    "gzip": (offer(b"\x1f\x8b\x08\0\0\0\0\0", b"Content-Encoding: gzip"), 400),
    "an unknown transfer encoding": (raw((*POST, b"Transfer-Encoding: gzip"), b"{}"), 400),
    "an unknown expectation": (offer(b"{}", b"Expect: miracles"), 417),
    "an expectation that is no text": (offer(b"{}", b"Expect: \xd6"), 417),
    # methods and paths
    "GET an offer": (http(b"GET", b"/api/offer"), 405),
    "DELETE an offer": (http(b"DELETE", b"/api/offer"), 405),
    "PUT an offer": (http(b"PUT", b"/api/offer", GOOD), 405),
    "a method of WebDAV": (http(b"PROPFIND", b"/api/offer"), 405),
    "an invented method": (http(b"BREW", b"/api/offer"), 400),
    "GET start": (http(b"GET", b"/start"), 405),
    "POST the page": (http(b"POST", b"/", b"{}"), 405),
    "TRACE": (http(b"TRACE", b"/status"), 405),
    "OPTIONS": (http(b"OPTIONS", b"*"), 404),
    "CONNECT": (http(b"CONNECT", b"evil.example:443"), 404),
    "an unknown path": (http(b"GET", b"/nowhere"), 404),
    "a path out of the page": (http(b"GET", b"/page/../server.py"), 404),
    "an encoded path out of the page": (http(b"GET", b"/page/%2e%2e%2fserver.py"), 404),
    "a doubly encoded path": (http(b"GET", b"/page/%252e%252e%252fserver.py"), 404),
    "a path of the machine": (http(b"GET", b"/page//etc/passwd"), 404),
    "a path with NUL": (http(b"GET", b"/page/index.html%00.js"), 404),
    "backslashes": (http(b"GET", b"/page/..\\server.py"), 404),
    "a path out of the client": (http(b"GET", b"/client/../../../server.py"), 404),
    "a very long path": (http(b"GET", b"/" + b"a" * 9000), 400),
    "a bad escape": (http(b"GET", b"/%zz"), 404),
    # Host and Origin
    "a rebound name": (http(b"GET", b"/status", host=b"rebound.example:7860"), 403),
    "a rebound name for the page": (http(b"GET", b"/", host=b"rebound.example"), 403),
    "an empty host": (http(b"GET", b"/status", host=b""), 403),
    "no host": (raw((b"GET /status HTTP/1.0",)), 403),
    "two hosts": (raw((*GET, b"Host: evil.example")), 400),
    "a host in brackets": (http(b"GET", b"/status", host=b"[::1"), 403),
    "a host that is a name and more": (http(b"GET", b"/status", host=b"localhost@evil.example"), 403),
    "a foreign page": (offer(GOOD, b"Origin: http://evil.example"), 403),
    "a sandboxed page": (offer(GOOD, b"Origin: null"), 403),
    "a preflight of a foreign page": (
        http(b"OPTIONS", b"/start", b"", b"Origin: http://evil.example", b"Access-Control-Request-Method: POST"),
        403,
    ),
    # headers and what is no HTTP
    "TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 400),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    "a line of junk": (b"\0\1\2\3\r\n\r\n", 400),
    "HTTP of the future": (raw((b"GET /status HTTP/9.9", b"Host: localhost")), 400),
    "a header without a colon": (raw((*GET, b"nonsense")), 400),
    "a header with a space in its name": (raw((*GET, b"A B: c")), 400),
    "NUL in a header": (raw((*GET, b"X: a\0b")), 400),
    "a long header": (raw((*GET, b"X: " + b"x" * 9000)), 400),
    "many headers": (raw((*GET, *(b"X-%d: x" % n for n in range(500)))), 400),
    "a folded header": (raw((*GET, b"X: a", b" b")), 400),
    "an unknown character set": (offer(b"{}", b"Content-Type: application/json; charset=\xff"), 400),
}


def test_the_table_is_as_long_as_promised():
    assert len(MALFORMED) >= 60


class Counted:
    """A supervisor, and how many offers it had answered."""

    def __init__(self, supervisor):
        self._supervisor = supervisor
        self.answered = 0

    async def offer(self, request):
        answer = await self._supervisor.offer(request)
        self.answered += 1
        return answer

    async def candidates(self, request):
        await self._supervisor.candidates(request)


@pytest.fixture
async def served(tmp_path):
    """A whole server: real bots behind it, a page and a client in it."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    door = Door(page=tmp_path, client=tmp_path)
    async with answering(idle_bot) as there:
        exchange = Counted(there.supervisor)
        server = SignallingServer(exchange, limits=LIMITS, door=door)
        url = await server.start()
        yield url, there, door, exchange
        await server.close()


async def send(url, data):
    """Status, headers and body of the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    try:
        writer.write(data)
        async with asyncio.timeout(15):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.close()
        await writer.wait_closed()
    return int(status_line.split()[1]), headers, body


async def test_every_malformed_request_is_refused_in_json_and_leaves_nothing(served, caplog):
    url, there, door, exchange = served
    await send(url, http(b"GET", b"/status"))
    before, wrong = holdings(), {}
    for name, (data, expected) in MALFORMED.items():
        status, headers, body = await send(url, data)
        answer = json.loads(body) if headers["content-type"].startswith("application/json") else None
        if status != expected or not (answer and isinstance(answer.get("detail"), str)):
            wrong[name] = (status, headers["content-type"], body[:200])
    assert wrong == {}
    assert (there.arguments, there.handler.connections, len(door.sessions)) == ([], (), 0)
    assert exchange.answered == 0
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    await until(lambda: holdings() == before)


async def test_the_server_is_healthy_after_all_of_it():
    async with answering(echo) as there:
        server = SignallingServer(there.supervisor, limits=LIMITS)
        url = await server.start()
        try:
            await asyncio.gather(*(send(url, data) for data, _ in MALFORMED.values()))
            async with HttpExchange(url) as exchange, dialed(exchange) as (_, connection):
                transport = SmallWebRTCTransport(connection)
                mailbox = Mailbox(transport)
                await transport.start()
                await transport.send_message({"still": "there"})
                assert await mailbox.next() == {"still": "there"}
        finally:
            await server.close()
