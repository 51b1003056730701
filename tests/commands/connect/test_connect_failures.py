"""A call that does not come about: the stage that failed, named with its cure, against servers that lie."""

import asyncio
import re
import socket

import pytest
from aiohttp import web
from aiortc import RTCPeerConnection
from connecting import SILENT, call, sentence
from lying import Lie, lying, serving, truth

from smallrtc_cli.errors import ExitCode


async def of_somebody_else(peer: RTCPeerConnection) -> str:
    """The fingerprint of another certificate."""
    return re.sub(r"(a=fingerprint:sha-\d+) [0-9A-F]{2}:[0-9A-F]{2}", r"\1 00:01", await truth(peer))


async def without_channel(peer: RTCPeerConnection) -> str:
    return (await truth(peer)).partition("m=application")[0]


async def deaf_to_messages(peer: RTCPeerConnection) -> str:
    """Agrees to a data channel, and never says a word of SCTP."""

    async def start(*_: object) -> None:
        pass

    assert peer.sctp is not None
    peer.sctp.start = start
    return await truth(peer)


def behind(port: int) -> Lie:
    """Whoever should be there has gone, and nobody answers."""

    async def lie(peer: RTCPeerConnection) -> str:
        sdp = await truth(peer)
        await peer.close()
        return re.sub(r"^(a=candidate:\S+ \d \S+ \d+ \S+) \d+", rf"\1 {port}", sdp, flags=re.MULTILINE)

    return lie


async def test_another_certificate_than_the_described_one_is_named_as_dtls(tmp_path):
    async with lying(of_somebody_else) as (url, _):
        process = await call(tmp_path, url, *SILENT)
    assert process.process.returncode == ExitCode.CANNOT_RUN
    error, hint = sentence(process)
    assert "the DTLS handshake failed" in error
    assert "certificate" in hint


async def test_an_answer_that_does_not_fit_is_named(tmp_path):
    async with lying(without_channel) as (url, _):
        process = await call(tmp_path, url, *SILENT)
    assert process.process.returncode == ExitCode.CANNOT_RUN
    error, hint = sentence(process)
    assert error.startswith("the answer cannot be used: ")
    assert "SmallWebRTC server" in hint


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"detail": "the SDP has no audio"}, "400: the SDP has no audio"),
        (503, {"error": "too many calls", "hint": "come back"}, "503: too many calls"),
        (500, None, "500"),
    ],
)
async def test_an_offer_that_is_refused_is_told_in_the_servers_words(tmp_path, status, body, words):
    async def offer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    async with serving(offer) as url:
        process = await call(tmp_path, url, *SILENT)
    assert process.process.returncode == ExitCode.CANNOT_RUN
    assert words in process.errors
    sentence(process)


async def test_what_stays_away_is_named_when_its_time_is_over(tmp_path):
    """A path (15 s) and a data channel (10 s); both at once, as it is a wait."""
    with socket.socket(type=socket.SOCK_DGRAM) as hole:
        hole.bind(("0.0.0.0", 0))
        async with lying(behind(hole.getsockname()[1])) as (nowhere, _), lying(deaf_to_messages) as (deaf, _):
            path, channel = await asyncio.gather(call(tmp_path, nowhere, *SILENT), call(tmp_path, deaf, *SILENT))
    assert path.process.returncode == channel.process.returncode == ExitCode.CANNOT_RUN
    error, hint = sentence(path)
    assert "within 15 s" in error
    assert hint
    for fact in (
        "  this side offered host ",
        "  the server offered host ",
        "  tried host ",
        "  0 answers to our checks",
    ):
        assert fact in path.errors
    assert "the data channel did not open within 10 s" in sentence(channel)[0]


async def test_a_script_gets_a_failure_as_its_last_event(tmp_path):
    async with lying(of_somebody_else) as (url, _):
        process = await call(tmp_path, url, *SILENT, "--json-lines")
    last = process.events[-1]
    assert (last["event"], last["exit_code"]) == ("failed", 3)
    assert (last["sentence"], last["hint"]) == sentence(process)
    assert any(fact.startswith("the server offered") for fact in last["facts"])
