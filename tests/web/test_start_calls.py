"""Whole calls that begin with a URL: at Pipecat's own runner with a real pipeline, and at `smallrtc serve`."""

import asyncio
import contextlib
from dataclasses import replace

import numpy as np
import pytest
from calls import AUDIO_ONLY, Mailbox, dialed
from served import served

from smallrtc_cli.audio.signals import tone
from smallrtc_cli.errors import NoSecureConnection, OfferRefused, WrongScheme
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams
from smallrtc_cli.web.start import begin

RATE = 48_000
FULL_BAND = TransportParams(audio_in_enabled=True, audio_in_sample_rate=RATE, audio_out_enabled=True)

TOKEN = "s3/c+ret"
HELLO = {"type": "hello", "n": 1}  # Pipecat takes no message without a `type`

BOT = """
from smallrtc_cli import SmallWebRTCTransport, TransportParams

async def bot(runner_args):
    transport = SmallWebRTCTransport(
        runner_args.webrtc_connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        told = {"echo": message, "body": runner_args.body, "session_id": runner_args.session_id}
        await transport.send_message(told)

    async for frame in transport.input():
        await transport.output().write(frame)
"""


class Ears:
    """All that is heard on a transport, in pieces that are loud enough to be the tone."""

    def __init__(self, transport: SmallWebRTCTransport) -> None:
        self._transport = transport
        self.loud: list[np.ndarray] = []

    async def listen(self) -> None:
        async for frame in self._transport.input():
            samples = np.frombuffer(frame.audio, "<i2")
            if np.sqrt(np.mean(samples.astype(float) ** 2)) > 300:
                self.loud.append(samples)

    @property
    def seconds(self) -> float:
        return sum(map(len, self.loud)) / RATE

    @property
    def pitch(self) -> float:
        """In Hz, to a percent or two: an echo over a network may have holes."""
        sound = np.concatenate(self.loud)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(spectrum.argmax() * RATE / len(sound))


@contextlib.asynccontextmanager
async def called(url: str, **options):
    """A call as `begin` says: what was begun, a transport, its mailbox and its ears."""
    begun = await begin(url, **options)
    data = None if begun.body_given else options.get("body")
    async with (
        begun.exchange as exchange,
        dialed(exchange, replace(AUDIO_ONLY, request_data=data, ice_servers=begun.ice_servers)) as (_, connection),
    ):
        transport = SmallWebRTCTransport(connection, FULL_BAND)
        ears = Ears(transport)
        listening = asyncio.create_task(ears.listen())
        try:
            yield begun, transport, Mailbox(transport), ears
        finally:
            listening.cancel()
            await asyncio.wait({listening})


async def require_sound_back(transport: SmallWebRTCTransport, ears: Ears) -> None:
    whole_periods = tone(620, 0.5, rate=24_000).tobytes()
    async with asyncio.timeout(20):
        while ears.seconds < 1:
            await transport.output().write(whole_periods)
    assert ears.pitch == pytest.approx(620, rel=0.02)


@pytest.mark.parametrize(("path", "has_session"), [("", True), ("/start", True), ("/api/offer", False)])
async def test_pipecats_own_runner_is_called_by_each_form_of_its_url(pipecat_runner, path, has_session):
    async with called(pipecat_runner.url + path, body={"voice": "amy"}) as (begun, transport, mailbox, ears):
        assert (begun.session_id is not None, begun.body_given) == (has_session, has_session)
        await transport.send_message(HELLO)
        told = await mailbox.next(20)
        assert told["echo"] == HELLO
        if has_session:  # Pipecat's `/api/offer` drops `requestData`, and makes up a session id
            assert (told["body"], told["session_id"]) == ({"voice": "amy"}, begun.session_id)
        await require_sound_back(transport, ears)


async def test_pipecats_runner_says_why_it_refuses(pipecat_runner):
    with pytest.raises(OfferRefused, match="status 404: Invalid or not-yet-ready session_id"):
        async with called(f"{pipecat_runner.url}/sessions/none/api/offer"):
            pass


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Our server with a token that a URL has to quote."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "bot.py").write_text(BOT)
    with served(folder, "bot.py", "--token", TOKEN, json_lines=False) as server:
        yield server


@pytest.mark.parametrize(("path", "has_session"), [("/", True), ("/start", True), ("/api/offer", False)])
async def test_our_server_is_called_by_each_form_of_the_url_with_the_token_that_it_printed(guarded, path, has_session):
    printed = (await guarded.error("  here ")).split()[1]
    assert "?token=" in printed
    url = printed.replace("/?", f"{path}?")
    async with called(url, body={"voice": "amy"}) as (begun, transport, mailbox, ears):
        assert (begun.session_id is not None, begun.body_given) == (has_session, has_session)
        await transport.send_message(HELLO)
        told = await mailbox.next(20)
        assert (told["echo"], told["body"]) == (HELLO, {"voice": "amy"})
        assert not has_session or told["session_id"] == begun.session_id
        await require_sound_back(transport, ears)


async def test_a_token_in_a_header_will_do_and_its_lack_names_the_option(guarded):
    url = await guarded.printed_url()
    with pytest.raises(OfferRefused, match="refused `/start` with status 401: this server asks for a token") as raised:
        await begin(url)
    assert "`--token`" in raised.value.hint
    async with called(url, headers={"Authorization": f"Bearer {TOKEN}"}) as (_, transport, _, ears):
        await require_sound_back(transport, ears)


async def test_our_https_is_called_without_verification_and_otherwise_says_what_to_do(tmp_path):
    with served(tmp_path, "echo", "--https", json_lines=False, XDG_DATA_HOME=str(tmp_path)) as server:
        url = await server.printed_url()
        with pytest.raises(NoSecureConnection, match="self-signed certificate") as raised:
            await begin(url)
        assert "`--insecure`" in raised.value.hint
        with pytest.raises(WrongScheme, match="speaks https, not http"):
            await begin(url.replace("https", "http"))
        async with called(url, verify=False) as (begun, transport, _, ears):
            assert begun.session_id
            await require_sound_back(transport, ears)


async def test_https_to_our_http_names_the_right_url(tmp_path):
    with served(tmp_path, "echo") as server:
        url = await server.url()
        with pytest.raises(WrongScheme, match="does not speak TLS") as raised:
            await begin(url.replace("http", "https"))
        assert raised.value.hint == f"use `{url}`"
