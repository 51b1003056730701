"""Pipecat's published JavaScript client, unmodified, in headless Chromium, against the real door and real bots.

Its page comes from an origin of its own, which the server allows: every request of the client crosses origins, with
a preflight. Its microphone is that of `test_page.py`: a WAV file with a tone.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from calls import until
from page_server import PageServer, TalkativeBot, serving

from smallrtc_cli.audio.pcm import level_dbfs
from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.echo import params
from smallrtc_cli.protocol.messages import RenegotiateMessage, encode_signalling
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
CHROMIUM, NPM = shutil.which("chromium"), shutil.which("npm")
if CHROMIUM is None or NPM is None:
    pytest.skip("chromium or npm is not installed", allow_module_level=True)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = Path(__file__).parent / "npm"
INSTALL = [
    NPM, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--prefer-offline",
    "--fetch-retries=1",
]  # fmt: skip
BUNDLE = ["node_modules/.bin/esbuild", "client.js", "--bundle", "--outfile=bundle.js", "--log-level=warning"]

TONE = 440.0  # Hz
LEVEL = -15.05  # dBFS (RMS) of a sine with a quarter of full scale

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
]  # fmt: skip

UNPROCESSED = """const { mediaDevices } = navigator, open = mediaDevices.getUserMedia.bind(mediaDevices);
const off = { noiseSuppression: false, echoCancellation: false, autoGainControl: false };
mediaDevices.getUserMedia = ({ audio }) => open({ audio: { ...(audio === true ? {} : audio), ...off } });"""
"The browser's noise suppression would remove a tone, and the client has no option for it."


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with what it needs, in one file; without the packages' registry there is none."""
    place = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "client.js"):
        shutil.copy(SOURCE / name, place)
    try:
        subprocess.run(INSTALL, cwd=place, capture_output=True, text=True, timeout=40, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the client within 40 s")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm did not install the client: {error.stderr.strip()}")
    subprocess.run(BUNDLE, cwd=place, timeout=10, check=True)
    return place / "bundle.js"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def origin(bundle: Path) -> AsyncIterator[str]:
    """Where the client's page comes from: not the server of the bot."""

    async def page(_: web.Request) -> web.Response:
        text = "<!doctype html><link rel=icon href='data:,'><script src='/bundle.js'></script>"
        return web.Response(text=text, content_type="text/html")

    async def script(_: web.Request) -> web.FileResponse:
        return web.FileResponse(bundle)

    application = web.Application()
    application.router.add_routes([web.get("/", page), web.get("/bundle.js", script)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """Its microphone hears one second of a sine, again and again."""
    path = tmp_path_factory.mktemp("npm-client") / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(sine())
    async with playwright.async_playwright() as driver:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={path}"]
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        await browser.close()


class Client:
    """The published client in a tab."""

    def __init__(self, page: Any, server: PageServer) -> None:
        self.page, self.server = page, server
        self.requests: list[Any] = []
        self.trouble: list[str] = []
        page.on("request", lambda request: self.requests.append(request))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("console", lambda line: line.type in ("error", "warning") and self.trouble.append(line.text))

    async def js(self, expression: str, argument: Any = None) -> Any:
        return await self.page.evaluate(expression, argument)

    async def begin(self, body: Any = None, token: str | None = None) -> Any:
        """`startBotAndConnect`; what it resolves to is the content of `bot-ready`."""
        return await self.js(
            """([endpoint, body, token]) => pipecat.client.startBotAndConnect({ endpoint, requestData: { body },
                ...(token && { headers: new Headers({ Authorization: `Bearer ${token}` }) }) })""",
            [f"{self.server.base}/start", body or {}, token],
        )

    def sent(self, method: str) -> list[tuple[str, str]]:
        """Address and body of each request to the server with a method."""
        ours = [each for each in self.requests if each.url.startswith(self.server.base)]
        return [(each.url, each.post_data or "") for each in ours if each.method == method]

    async def told(self, name: str) -> list[Any]:
        """What came with the events of a name, so far."""
        found: list[Any] = await self.js(
            "name => pipecat.events.filter((each) => each.name === name).map((each) => each.value ?? null)", name
        )
        return found

    async def tells(self, name: str, value: Any = None, timeout: float = 10.0) -> None:
        async with asyncio.timeout(timeout):
            while value not in await self.told(name):
                await asyncio.sleep(0.02)

    async def asks(self, question: Any) -> Any:
        """`sendClientRequest`; what it resolves to is the bot's answer."""
        return await self.js("question => pipecat.client.sendClientRequest('ask', question, 5000)", question)

    async def hears_the_tone(self) -> None:
        """At its level and pitch, once the jitter buffer has settled."""
        await self.hears(f"level > {LEVEL - 1.5} && level < {LEVEL + 1.5} && Math.abs(pitch - {TONE}) < 4")

    async def hears(self, condition: str) -> None:
        async with asyncio.timeout(10):
            while not await self.js(f"() => {{ const {{ level, pitch }} = pipecat.hear(); return {condition}; }}"):
                await asyncio.sleep(0.02)

    async def pc_id(self) -> str:
        found: str = await self.js("() => pipecat.transport.pc_id")
        return found


@contextlib.asynccontextmanager
async def opened(
    browser: Any, origin: str, bot: Any, token: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A tab with the client, its transport made with `options`, and a server for it.

    In the end no request may have gone elsewhere, and nothing may have been wrong.
    """
    async with serving(bot, token=token, allowed_origins=frozenset({origin})) as server:
        place = await browser.new_context()
        try:
            client = Client(await place.new_page(), server)
            await client.page.add_init_script(UNPROCESSED)
            await client.page.goto(f"{origin}/#{quote(json.dumps(options))}")
            yield client
            ours = (origin, server.base, "blob:", "data:")
            assert [each.url for each in client.requests if not each.url.startswith(ours)] == []
            assert client.trouble == []
        finally:
            await place.close()


class Echo(TalkativeBot):
    """Greets a client that is ready, answers its requests, and keeps 200 ms of the sound that it sends back."""

    KEPT = 9600  # samples at 48 kHz

    def __init__(self) -> None:
        super().__init__()
        self.sound = np.zeros(0)

    async def __call__(self, runner_args: SmallWebRTCRunnerArguments) -> None:
        transport = self.transport = SmallWebRTCTransport(runner_args.webrtc_connection, params(channels=2))
        transport.add_event_handler("on_app_message", self.on_app_message)
        async for frame in transport.input():
            left = np.frombuffer(frame.audio, dtype="<i2")[::2]
            self.sound = np.concatenate([self.sound, left])[-self.KEPT :]
            await transport.output().write(frame)

    async def on_app_message(self, transport: SmallWebRTCTransport, message: dict[str, Any], sender: str) -> None:
        self.messages.append(message)
        if message.get("type") == "client-ready":
            await transport.send_server_message({"greeting": "hello"})
        elif message.get("type") == "client-message":
            await transport.send_server_response(message, {"asked": message["data"]["d"]})

    def hears_the_tone(self) -> bool:
        """By its level and by the strongest line of its spectrum, of which each is 5 Hz wide."""
        spectrum = np.abs(np.fft.rfft(self.sound)) if self.sound.size == self.KEPT else np.zeros(1)
        return abs(level_dbfs(self.sound.astype("<i2")) - LEVEL) < 1.5 and spectrum.argmax() == TONE / 5


async def singing(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Echo's manners, with a sound that needs no microphone."""
    bot = Echo()
    params = TransportParams(audio_out_enabled=True, audio_out_sample_rate=48_000)
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, params)
    transport.add_event_handler("on_app_message", bot.on_app_message)
    while True:
        await transport.output().write(sine())


def sine() -> bytes:
    """One second of the tone, mono at 48 kHz, which may be repeated."""
    samples = 0.25 * np.sin(2 * np.pi * TONE * np.arange(48_000) / 48_000)
    return (samples * 32767).astype("<i2").tobytes()


async def test_it_starts_a_bot_in_a_session_and_both_are_ready(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo()) as client:
        ready = await client.begin({"who": "npm"})
        assert ready["version"].startswith("2.")
        assert ready["about"]["library"] == "smallrtc"
        assert (await client.told("state"))[-3:] == ["connecting", "connected", "ready"]
        assert client.server.arguments[0].body == {"who": "npm"}
        (started,) = await client.told("started")
        offers = f"{client.server.base}/sessions/{started['sessionId']}/api/offer"
        assert [url for url, _ in client.sent("POST")] == [f"{client.server.base}/start", offers]
        await until(lambda: client.sent("PATCH"))  # its candidates
        assert {url for url, _ in client.sent("PATCH")} == {offers}


async def test_messages_go_both_ways(browser: Any, origin: str) -> None:
    bot = Echo()
    async with opened(browser, origin, bot) as client:
        await client.begin()
        await client.tells("server-message", {"greeting": "hello"})
        assert await client.asks({"city": "Zurich"}) == {"asked": {"city": "Zurich"}}
        await client.js("() => pipecat.client.sendText('what is the weather?', { audio_response: false })")
        sent = await bot.heard("send-text")
        assert sent["data"] == {"content": "what is the weather?", "options": {"audio_response": False}}
        await client.js("() => pipecat.client.sendClientMessage('note', [1, 2])")
        await until(lambda: bot.messages[-1]["data"] == {"t": "note", "d": [1, 2]})


async def test_the_tone_is_heard_and_comes_back_unless_it_is_muted(browser: Any, origin: str) -> None:
    bot = Echo()
    async with opened(browser, origin, bot) as client:
        await client.begin()
        await until(bot.hears_the_tone)
        await client.hears_the_tone()
        assert client.server.track_status == [(0, True), (1, False)]
        await client.js("() => pipecat.client.enableMic(false)")
        await client.hears("level < -55")
        assert client.server.track_status[2:] == [(0, False)]
        await client.js("() => pipecat.client.enableMic(true)")
        await client.hears_the_tone()
        assert client.server.track_status[3:] == [(0, True)]


async def test_it_may_gather_its_candidates_first(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo(), waitForICEGathering=True) as client:
        await client.begin()
        await client.hears_the_tone()
        assert "a=candidate:" in client.sent("POST")[-1][1]


async def test_it_may_choose_the_codecs(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo(), audioCodec="PCMU", videoCodec="VP8") as client:
        await client.begin()
        await client.hears_the_tone()
        answer = client.server.connection.get_answer()
        assert "PCMU/8000" in answer["sdp"]
        assert "opus" not in answer["sdp"]


async def test_it_may_offer_without_a_session(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo()) as client:
        request = {"endpoint": f"{client.server.base}/api/offer", "requestData": {"who": "npm"}}
        await client.js("request => pipecat.client.connect({ webrtcRequestParams: request })", request)
        await client.hears_the_tone()
        assert client.server.arguments[0].body == {"who": "npm"}


async def test_it_may_begin_with_a_request_of_the_browsers(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo()) as client:
        await client.js(
            """(url) => pipecat.client.startBotAndConnect({ endpoint: new Request(url, {
                method: "POST", headers: { "Content-Type": "application/json" },
                body: JSON.stringify({ body: { who: "npm" } }) }) })""",
            f"{client.server.base}/start",
        )
        await client.hears_the_tone()
        assert client.server.arguments[0].body == {"who": "npm"}


async def test_the_token_goes_along_and_a_wrong_one_is_explained(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo(), token="s3cret") as client:
        with pytest.raises(playwright.Error, match="the token is wrong"):
            await client.begin(token="wrong")
        client.trouble.clear()  # the browser's and the client's lines about it
        await client.begin(token="s3cret")
        await client.hears_the_tone()


async def test_the_server_may_ask_to_renegotiate(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo()) as client:
        await client.begin()
        before, pc_id = client.server.connection.get_answer(), await client.pc_id()
        client.server.connection.peer.send(encode_signalling(RenegotiateMessage()))
        await until(lambda: client.server.connection.get_answer() is not before)
        assert await client.asks("still there?") == {"asked": "still there?"}
        await client.hears_the_tone()
        assert await client.pc_id() == pc_id


async def leaving(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Stays until its client has had a word."""
    transport = SmallWebRTCTransport(runner_args.webrtc_connection)
    said = asyncio.Event()
    transport.add_event_handler("on_app_message", lambda _, m, sender: m["type"] == "client-message" and said.set())
    await transport.start()
    await said.wait()


async def test_a_bot_that_leaves_is_told_and_the_client_disconnects(browser: Any, origin: str) -> None:
    async with opened(browser, origin, leaving) as client:
        await client.begin()
        await client.js("() => pipecat.client.sendClientMessage('leave')")
        await client.tells("bot-disconnected")
        await client.tells("state", "disconnected")
        await client.tells("disconnected")


async def test_hanging_up_ends_the_conversation_and_another_may_begin(browser: Any, origin: str) -> None:
    async with opened(browser, origin, Echo()) as client:
        for ending in ("disconnect", "disconnectBot"):
            await client.begin()
            await client.hears_the_tone()
            await client.js("how => pipecat.client[how]()", ending)
            async with asyncio.timeout(5):
                await client.server.connection.wait_closed()
        await client.tells("bot-disconnected")
        assert len(client.server.arguments) == 2


async def test_a_path_that_is_lost_is_replaced_and_the_same_bot_goes_on(browser: Any, origin: str) -> None:
    """The client offers anew with `restart_pc` when it has heard nothing for some 12 s.

    It does not tell its page of the new track: when the old one ends it forgets the new one (`_incomingTracks`). And
    it ends the microphone's own track (`closePeerConnection`). So the bot's sound is looked up here, and is no echo.
    """
    async with opened(browser, origin, singing) as client:
        await client.begin()
        await client.hears_the_tone()
        connection, before = client.server.connection, await client.pc_id()
        for protocol in connection.peer.agent.host_protocols():
            protocol.datagram_received = protocol.transport.sendto = lambda *_: None  # a cable is pulled
        await until(lambda: connection.pc_id != before, 25)
        await client.js("""() => new Promise((opened) => {
            const { dc } = pipecat.transport;
            dc.readyState === "open" ? opened() : dc.addEventListener("open", opened);
        })""")
        assert await client.asks("still there?") == {"asked": "still there?"}
        await client.js("() => pipecat.listen(pipecat.transport.pc.getReceivers()[0].track)")
        await client.hears_the_tone()
        assert await client.pc_id() == connection.pc_id
        assert len(client.server.arguments) == 1
