"""The page in headless Chromium, against the real door and real bots.

The browser's microphone is a WAV file with a tone. Nothing is injected into the page: its content security policy
holds, and each test fails on an error in the console and on a request that leaves the server.
"""

import asyncio
import contextlib
import shutil
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from page_server import PageServer, TalkativeBot, serving

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.errors import BadRequest
from smallrtc_cli.protocol.messages import RenegotiateMessage, encode_signalling
from smallrtc_cli.protocol.packet_sizes import LARGEST_CHUNK
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams
from smallrtc_cli.rtc.video import OutputImageRawFrame

playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TONE = 440.0  # Hz
LEVEL = -15.05  # dBFS (RMS) of a sine with a quarter of full scale

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
]  # fmt: skip


class Tab:
    """A page in a browser context of its own, and what one does with it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    async def js(self, expression: str, argument: Any = None) -> Any:
        return await self.page.evaluate(expression, argument)

    async def until(self, expression: str, argument: Any = None, timeout: float = 15.0) -> Any:
        """Wait in Python: the page's policy forbids the evaluation that Playwright's own waiting needs."""
        try:
            async with asyncio.timeout(timeout):
                while not (found := await self.js(expression, argument)):
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            state = await self.js("() => [smallrtc.call.state, document.body.innerText]")
            raise AssertionError(f"never true: {expression}; the page: {state}") from None

    async def state_is(self, state: str, timeout: float = 15.0) -> None:
        await self.until("state => smallrtc.call.state === state", state, timeout)

    def forget_refusals(self) -> None:
        """The browser's own lines about requests that were meant to fail."""
        self.errors = [text for text in self.errors if "Failed to load resource" not in text]

    async def call(self) -> None:
        await self.page.uncheck("#clean")  # the browser's noise suppression would remove a tone
        await self.page.click("#call")
        await self.state_is("ready")

    async def hears_the_tone(self) -> dict[str, float]:
        """The bot's sound, once it is the tone."""
        await self.until(f"() => {{ const at = smallrtc.hear('bot'); return Math.abs(at.level - {LEVEL}) < 1.5 && "
                         f"Math.abs(at.pitch - {TONE}) < 4 }}")  # fmt: skip
        heard: dict[str, float] = await self.js("() => smallrtc.hear('bot')")
        return heard

    async def is_silent(self) -> None:
        await self.until("() => smallrtc.hear('bot').level < -55")

    async def lamp(self) -> str:
        """`good`, `warn`, `bad`, or "" for off."""
        name: str = await self.js("""() => {
            const fill = (colour) => Object.assign(new Option(), { style: `color: ${colour}` }).style.color;
            const style = getComputedStyle(document.querySelector(".lamp"));
            const named = (name) => fill(style.getPropertyValue(`--${name}`).trim());
            return ["good", "warn", "bad"].find((name) => named(name) === style.backgroundColor) ?? "";
        }""")
        return name

    async def lines(self, who: str) -> list[str]:
        return [text.strip() for text in await self.page.locator(f"#lines .{who} .words").all_inner_texts()]

    async def note(self, which: str) -> str:
        await self.until(f"() => !document.getElementById('{which}').hidden")
        text: str = await self.page.inner_text(f"#{which}")
        return text


@pytest.fixture(scope="module")
def tone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of a sine, which the browser repeats."""
    samples = 0.25 * np.sin(2 * np.pi * TONE * np.arange(48_000) / 48_000)
    path = tmp_path_factory.mktemp("page") / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        yield driver.chromium


@contextlib.asynccontextmanager
async def launched(chromium: Any, *flags: str) -> AsyncIterator[Any]:
    browser = await chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    try:
        yield browser
    finally:
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(chromium: Any, tone_file: Path) -> AsyncIterator[Any]:
    """Allows the microphone without a question."""
    flags = ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={tone_file}"]
    async with launched(chromium, *flags) as browser:
        yield browser


@contextlib.asynccontextmanager
async def opened(
    browser: Any, server: PageServer, query: str = "", script: str = "", **context: Any
) -> AsyncIterator[Tab]:
    """A tab with the page; nothing may have been wrong with it at the end."""
    place = await browser.new_context(**context)
    try:
        tab = Tab(await place.new_page())
        if script:
            await tab.page.add_init_script(script)
        await tab.page.goto(f"{server.base}/{query}")
        yield tab
        assert tab.errors == []
        assert [url for url in tab.requests if not url.startswith(server.base)] == []
    finally:
        await place.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def still(browser: Any) -> AsyncIterator[Tab]:
    """A tab without a call, for what depends on values alone."""
    async with serving(echo) as server, opened(browser, server) as tab:
        yield tab


async def test_a_tone_comes_back_at_its_pitch_and_level(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        heard = await tab.hears_the_tone()
        assert heard["pitch"] == pytest.approx(TONE, abs=4)
        assert await tab.js("() => smallrtc.hear('you').level") == pytest.approx(LEVEL, abs=1.5)
        await tab.until("() => document.getElementById('round-trip').textContent.endsWith(' ms')")
        assert await tab.page.inner_text("#bot") == "bot.py:bot"


async def test_the_path_to_a_browser_is_probed_and_its_chunks_are_used(browser: Any) -> None:
    """Chromium's SCTP answers a HEARTBEAT and skips PAD; on this machine nothing limits the path."""
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        report = await server.connection.probe_path()
        assert (report.method, report.chunk, str(report.limit)) == ("sctp", LARGEST_CHUNK, "none")
        assert server.connection.peer.path.chunk == LARGEST_CHUNK


async def test_hanging_up_ends_the_conversation_and_closes_the_microphone(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        assert await tab.lamp() == "good"
        await tab.page.click("#call")
        async with asyncio.timeout(5):
            await server.connection.wait_closed()
        assert await tab.page.inner_text("#call") == "Call"
        assert await tab.lamp() == ""
        assert await tab.js("() => smallrtc.hear('you').level") == pytest.approx(float("-inf"))


async def test_mute_reaches_the_server_and_the_echo_falls_silent(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        await tab.hears_the_tone()
        assert server.track_status == [(0, True), (1, False), (2, False)]
        await tab.page.click("#mute")
        await tab.is_silent()
        assert server.track_status[3:] == [(0, False)]
        assert await tab.page.get_attribute("#mute", "aria-pressed") == "true"
        await tab.page.keyboard.press("m")
        await tab.hears_the_tone()
        assert server.track_status[4:] == [(0, True)]


async def test_with_push_to_talk_the_microphone_is_on_while_space_is_held(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.page.check("#push-to-talk")
        await tab.call()
        await tab.is_silent()
        await tab.page.keyboard.down("Space")  # the focus is not on the button that would hang up
        await tab.hears_the_tone()
        await tab.page.keyboard.up("Space")
        await tab.is_silent()
        assert await tab.js("() => smallrtc.call.state") == "ready"
        assert [on for index, on in server.track_status if index == 0] == [False, True, False]


async def test_text_goes_as_rtvi_and_an_object_as_it_is(browser: Any) -> None:
    bot = TalkativeBot()
    async with serving(bot) as server, opened(browser, server) as tab:
        await tab.call()
        await tab.page.fill("#text", "what is the weather?")
        await tab.page.press("#text", "Enter")
        sent = await bot.heard("send-text")
        assert sent["data"]["content"] == "what is the weather?"
        assert sent["label"] == "rtvi-ai"
        await tab.page.fill("#text", '{"type": "mine", "n": [1, 2]}')
        await tab.page.press("#text", "Enter")
        assert await bot.heard("mine") == {"type": "mine", "n": [1, 2]}
        await tab.page.fill("#text", '{"type": mine}')
        await tab.page.press("#text", "Enter")
        assert "This is not JSON" in await tab.note("say-trouble")
        assert await tab.page.input_value("#text") == '{"type": mine}'
        await tab.page.type("#text", "m")  # mutes elsewhere, here it is a letter
        assert await tab.page.input_value("#text") == '{"type": mine}m'
        assert await tab.page.get_attribute("#mute", "aria-pressed") == "false"


async def test_the_conversation_is_shown_in_order(browser: Any) -> None:
    bot = TalkativeBot()
    async with serving(bot) as server, opened(browser, server) as tab:
        await tab.call()
        await bot.heard("client-ready")
        await bot.say(
            rtvi("user-started-speaking"),
            rtvi("user-transcription", text="what is", final=False),
            rtvi("user-transcription", text="What is the weather?", final=True),
            rtvi("bot-llm-text", text="It is "),
            rtvi("bot-llm-text", text="cold."),
            {"type": "weather", "degrees": 4},
        )
        await tab.until("() => document.querySelector('#lines .message')")
        assert await tab.lines("you") == ["What is the weather?"]
        assert await tab.lines("bot") == ["It is cold."]
        assert await tab.lines("message") == ['{"type":"weather","degrees":4}']
        order = await tab.js("() => [...document.querySelectorAll('#lines li')].map((each) => each.classList[0])")
        assert order == ["event", "event", "you", "bot", "message"]


async def test_a_restart_goes_on_with_the_same_conversation_and_sound(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        await tab.hears_the_tone()
        before = await tab.js("() => smallrtc.call.pcId")
        await tab.page.click("#reconnect")
        await tab.until("before => smallrtc.call.state === 'ready' && smallrtc.call.pcId !== before", before)
        await tab.hears_the_tone()
        assert len(server.arguments) == 1
        assert server.connection.pc_id == await tab.js("() => smallrtc.call.pcId")


async def test_the_server_may_ask_to_renegotiate(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        before = server.connection.get_answer()
        server.connection.peer.send(encode_signalling(RenegotiateMessage()))
        async with asyncio.timeout(5):
            while server.connection.get_answer() is before:
                await asyncio.sleep(0.02)
        await tab.hears_the_tone()


async def test_a_server_that_comes_back_is_called_again(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        await server.close()
        await tab.state_is("waiting")
        another = server.next()
        await another.start()
        try:
            await tab.state_is("ready")
            await tab.hears_the_tone()
            assert len(another.arguments) == 1
        finally:
            await another.close()
        tab.forget_refusals()


async def raising(runner_args: SmallWebRTCRunnerArguments) -> None:
    await SmallWebRTCTransport(runner_args.webrtc_connection).start()
    raise KeyError("voice")


async def test_a_crash_of_the_bot_is_told_with_the_end_of_its_traceback(browser: Any) -> None:
    async with serving(raising) as server, opened(browser, server) as tab:
        await tab.page.click("#call")
        await tab.state_is("ended")
        told = await tab.note("trouble")
        assert "The bot failed: KeyError: 'voice'" in told
        assert 'raise KeyError("voice")' in told
        assert await tab.page.inner_text("#state") == "The bot has failed"
        assert await tab.lamp() == "bad"
        await asyncio.sleep(1.2)  # it is not called again: it would fail again
        assert len(server.arguments) == 1
        tab.forget_refusals()  # of candidates that came after the end


async def leaving(runner_args: SmallWebRTCRunnerArguments) -> None:
    await SmallWebRTCTransport(runner_args.webrtc_connection).start()


async def test_a_bot_that_leaves_is_not_called_again(browser: Any) -> None:
    async with serving(leaving) as server, opened(browser, server) as tab:
        await tab.page.click("#call")
        await tab.state_is("ended")
        assert await tab.page.inner_text("#state") == "The bot has left"
        await asyncio.sleep(1.2)
        assert len(server.arguments) == 1
        tab.forget_refusals()


async def test_a_refused_microphone_is_explained_and_the_call_goes_on(chromium: Any) -> None:
    async with launched(chromium, "--use-fake-ui-for-media-stream=deny") as browser:
        async with serving(singing) as server, opened(browser, server) as tab:
            await tab.call()
            told = await tab.note("device-trouble")
            assert "The browser was not allowed to use the microphone." in told
            assert "Try the microphone again" in told
            assert server.track_status[0] == (0, False)
            await tab.hears_the_tone()


async def singing(runner_args: SmallWebRTCRunnerArguments) -> None:
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, TransportParams(audio_out_enabled=True))
    samples = 0.25 * np.sin(2 * np.pi * TONE * np.arange(24_000) / 24_000)
    while True:
        await transport.output().write((samples * 32767).astype("<i2").tobytes())


INSECURE = """Object.defineProperty(window, "isSecureContext", { value: false });
Object.defineProperty(navigator, "mediaDevices", { value: undefined });"""


async def test_a_page_without_https_says_what_to_do(browser: Any) -> None:
    async with serving(singing) as server, opened(browser, server, script=INSECURE) as tab:
        await tab.call()
        told = await tab.note("device-trouble")
        assert "The browser gave no microphone: this page is not on https or localhost." in told
        assert "`--https`" in told
        await tab.hears_the_tone()


class Camera:
    """Looks at the client's camera."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.looked = asyncio.Event()

    async def __call__(self, runner_args: SmallWebRTCRunnerArguments) -> None:
        transport = SmallWebRTCTransport(runner_args.webrtc_connection, TransportParams(video_in_enabled=True))
        await transport.start()
        connection = runner_args.webrtc_connection
        on = asyncio.Event()
        connection.add_event_handler("track-status", lambda _, index, enabled: index == 1 and enabled and on.set())
        await on.wait()
        track = transport.video_input()
        assert track is not None
        for _ in range(3):
            frame = await track.recv()
            self.sizes.append((frame.width, frame.height))
        self.looked.set()
        await connection.wait_closed()


async def test_the_cameras_pictures_reach_the_bot(browser: Any) -> None:
    bot = Camera()
    async with serving(bot) as server, opened(browser, server) as tab:
        await tab.call()
        await tab.page.select_option("#camera", "")
        async with asyncio.timeout(15):
            await bot.looked.wait()
        assert len(bot.sizes) == 3
        assert all(width > 0 and height > 0 for width, height in bot.sizes)
        assert (1, True) in server.track_status
        assert await tab.page.is_visible("#self")
        await tab.page.select_option("#camera", "none")
        await tab.until("() => document.getElementById('self').hidden")
        async with asyncio.timeout(5):
            while server.track_status[-1] != (1, False):
                await asyncio.sleep(0.02)


async def painting(runner_args: SmallWebRTCRunnerArguments) -> None:
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, TransportParams(video_out_enabled=True))
    await transport.send_image(OutputImageRawFrame(bytes([200, 40, 40]) * (320 * 240), (320, 240)))
    await transport.wait_closed()


async def test_the_bots_picture_is_shown_while_there_is_one(browser: Any) -> None:
    async with serving(painting) as server, opened(browser, server) as tab:
        assert not await tab.page.is_visible("#picture")
        await tab.call()
        await tab.until("() => !document.getElementById('picture').hidden")
        assert await tab.js("() => document.getElementById('picture').videoWidth") == 320
        await tab.page.click("#call")
        await tab.until("() => document.getElementById('picture').hidden")


async def test_a_refusal_is_told_with_its_cure(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> Any:
        raise BadRequest("the SDP has no audio", hint="offer some")

    async with serving(echo) as server:
        monkeypatch.setattr(server.supervisor, "offer", refuse)
        async with opened(browser, server) as tab:
            await tab.page.click("#call")
            await tab.state_is("failed")
            told = await tab.note("trouble")
            assert "The server refused with 400: the SDP has no audio" in told
            assert "offer some" in told
            tab.forget_refusals()


async def test_a_missing_server_is_told_and_noticed_when_it_comes(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.until("() => document.getElementById('bot').textContent === 'bot.py:bot'")
        await server.close()
        await tab.page.click("#call")
        await tab.state_is("failed")
        assert "The server does not answer" in await tab.note("trouble")
        tab.forget_refusals()


async def test_a_broken_edit_is_shown_until_it_is_mended(browser: Any) -> None:
    async with serving(echo) as server:
        server.error = 'Traceback (most recent call last):\n  File "bot.py", line 3\nSyntaxError: invalid syntax'
        async with opened(browser, server) as tab:
            told = await tab.note("broken-reload")
            assert "The last edit of bot.py:bot does not load" in told
            assert "SyntaxError: invalid syntax" in told
            server.error = ""
            await tab.js("() => document.dispatchEvent(new Event('visibilitychange'))")  # looks at once, not in 3 s
            await tab.until("() => document.getElementById('broken-reload').hidden")


async def test_the_token_of_the_address_goes_with_every_request(browser: Any) -> None:
    async with serving(echo, token="s3cret") as server, opened(browser, server, "?token=s3cret") as tab:
        await tab.call()
        await tab.hears_the_tone()
        report = await tab.js("() => smallrtc.report()")
        assert "s3cret" not in report


async def test_the_report_is_markdown_with_path_and_figures(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server) as tab:
        await tab.call()
        await tab.until("() => smallrtc.statistics.samples.length > 1")
        report = await tab.js("() => smallrtc.report()")
        assert "## smallrtc call report" in report
        assert "- server: smallrtc 0.1.0, bot.py:bot" in report
        assert "| round trip, ms |" in report
        assert "opus 48 kHz" in report
        assert "DTLS" in report


async def test_all_that_can_be_pressed_has_a_name(still: Tab) -> None:
    nameless = await still.js("""() =>
        [...document.querySelectorAll("button, input, select, textarea, video, canvas")]
        .filter((each) => !(each.labels?.length || each.ariaLabel || each.textContent.trim()))
        .map((each) => each.outerHTML)""")
    assert nameless == []


async def test_a_path_that_is_not_found_is_explained(still: Tab) -> None:
    """The sentences, by value: `report` is what `getStats` gives, without the rest."""

    def pair(asked: int, answered: int, heard: int) -> dict[str, Any]:
        return {
            "type": "candidate-pair",
            "requestsSent": asked,
            "responsesReceived": answered,
            "requestsReceived": heard,
        }

    def found(side: str, kind: str, address: str) -> dict[str, Any]:
        return {"type": f"{side}-candidate", "candidateType": kind, "protocol": "udp", "address": address}

    here, there = found("local", "host", "10.0.0.9"), found("remote", "host", "10.0.0.5")
    cases: list[tuple[list[dict[str, Any]], str, str, str]] = [
        ([here, there, pair(12, 0, 0)], "bot.example", "12 checks sent, 0 answered", "--public-ip"),
        (
            [here, there, pair(12, 0, 0)],
            "localhost",
            "private host (udp)",
            "UDP between here and the server is blocked",
        ),
        ([here, there, pair(12, 0, 5)], "localhost", "5 heard from the server", "ours get no answer"),
        ([here], "localhost", "the server no address", "The server announced no address"),
        ([there], "localhost", "offered no address", "found no network"),
        ([here, found("remote", "host", "fd00::5")], "localhost", "no pair of addresses", "only IPv6"),
    ]
    for report, host, what, cure in cases:
        told = await still.js(
            """async ([report, host]) => {
                const { pathTrouble } = await import("/page/words.js");
                const failed = { iceConnectionState: "failed", connectionState: "failed", remoteDescription: {} };
                return pathTrouble(new Map(Object.entries(report)), failed, host);
            }""",
            [report, host],
        )
        assert what in told["what"]
        assert cure in told["cure"]


async def test_why_there_is_no_microphone_is_said_in_words(still: Tab) -> None:
    cases = {
        "NotAllowedError": "was not allowed to use the microphone",
        "NotFoundError": "No microphone was found",
        "NotReadableError": "cannot be opened",
        "OverconstrainedError": "is not there any more",
        "AbortError": "gave no microphone",
    }
    for name, words in cases.items():
        told = await still.js(
            """async (name) => (await import("/page/words.js")).deviceTrouble(
                "microphone", { name, message: "x" }, true)""",
            name,
        )
        assert words in told["what"]


async def lines_of(tab: Tab, *messages: dict[str, Any]) -> list[list[str]]:
    """What a conversation's lines come to: who, what was said, and what is still to be said."""
    found: list[list[str]] = await tab.js(
        """async (messages) => {
            const { Conversation } = await import("/page/messages.js");
            const lines = new Map();
            const conversation = new Conversation((line) => lines.set(line.id, line));
            for (const message of messages) conversation.received(message);
            const said = [...lines.values()].filter((line) => line.who !== "event");
            return said.map((line) => [line.who, line.text, line.rest]);
        }""",
        list(messages),
    )
    return found


def output(segment: int, said: str, rest: str) -> dict[str, Any]:
    progress = {"accumulated_text": said, "remaining_text": rest}
    return rtvi("bot-output", text=said + rest, segment_id=segment, will_be_spoken=True, spoken_progress=progress)


async def test_of_several_tellings_of_a_turn_one_is_shown(still: Tab) -> None:
    turn = [
        rtvi("bot-llm-text", text="It is "),
        rtvi("bot-llm-text", text="cold."),
        rtvi("bot-tts-text", text="It is"),
    ]
    assert await lines_of(still, *turn, output(1, "It is cold.", "")) == [["bot", "It is cold.", ""]]
    twice = [rtvi("user-transcription", text="hello", final=True)]
    twice += [rtvi("user-input", text="Hello.", input_type="transcription", final=True)]
    assert await lines_of(still, *twice) == [["you", "Hello.", ""]]


async def test_what_the_bot_has_not_said_yet_is_told_apart(still: Tab) -> None:
    turn = [output(1, "", "One. "), output(1, "One.", ""), output(2, "", "Two three."), output(2, "Two", "three.")]
    assert await lines_of(still, *turn) == [["bot", "One. Two", "three."]]
    late = [*turn, rtvi("user-transcription", text="stop", final=True), output(2, "Two three.", "")]
    assert await lines_of(still, *late) == [["bot", "One. Two three.", ""], ["you", "stop", ""]]


async def test_interim_words_are_replaced_by_the_final_ones(still: Tab) -> None:
    said = [
        rtvi("user-transcription", text="what", final=False),
        rtvi("user-transcription", text="what is", final=False),
    ]
    assert await lines_of(still, *said) == [["you", "", "what is"]]
    said += [rtvi("user-transcription", text="What is it?", final=True), rtvi("bot-transcription", text="A dog.")]
    assert await lines_of(still, *said) == [["you", "What is it?", ""], ["bot", "A dog.", ""]]


async def test_odd_messages_do_not_stop_the_conversation(browser: Any) -> None:
    bot = TalkativeBot()
    odd: list[Any] = [
        rtvi("bot-output"), rtvi("metrics", ttfb=7, tokens=[{}]), rtvi("user-transcription"), rtvi("bot-llm-text"),
        {"label": "rtvi-ai"}, {"label": "rtvi-ai", "type": "error", "data": None},
        {"label": "rtvi-ai", "type": "bot-ready", "data": {}}, {"type": "signalling", "message": {}},
        [1, 2], "text", None, 3, {"<b>": "<script>alert(1)</script>"},
    ]  # fmt: skip
    async with serving(bot) as server, opened(browser, server) as tab:
        await tab.call()
        await bot.heard("client-ready")
        await bot.say(*odd, {"type": "last"})
        await tab.until("() => document.getElementById('lines').textContent.includes('\"last\"')")
        assert await tab.js("() => document.querySelector('#lines b, #lines script')") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_what_it_is_on(browser: Any, scheme: str) -> None:
    """Contrast of WCAG 2, AA: 4.5 for text."""
    pairs = [
        ("--text", "--ground"), ("--text", "--panel"), ("--quiet", "--panel"), ("--quiet", "--ground"),
        ("--text", "--bad-ground"), ("--text", "--warn-ground"), ("--bad", "--panel"), ("--on-good", "--good"),
        ("--on-bad", "--bad"), ("--series-0", "--panel"), ("--series-1", "--panel"),
    ]  # fmt: skip
    async with serving(echo) as server, opened(browser, server, color_scheme=scheme) as tab:
        for front, back in pairs:
            colours = await tab.js(
                "names => names.map((n) => getComputedStyle(document.body).getPropertyValue(n))", [front, back]
            )
            assert contrast(*colours) >= 4.5, (front, back)


async def test_the_page_fits_a_phone(browser: Any) -> None:
    async with serving(echo) as server, opened(browser, server, viewport={"width": 320, "height": 640}) as tab:
        await tab.page.click("summary")
        assert await tab.js("() => document.documentElement.scrollWidth") == 320


def contrast(front: str, back: str) -> float:
    """From 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(front), luminance(back)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour.strip().removeprefix("#")
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def rtvi(kind: str, **data: Any) -> dict[str, Any]:
    return {"label": "rtvi-ai", "type": kind} | ({"data": data} if data else {})
