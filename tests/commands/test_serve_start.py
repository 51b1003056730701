"""What `smallrtc serve` does before its port is open, and while it loads what answers: the real command in a process
of its own, which stops where the test wants to look.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from calls import AUDIO_ONLY, until

from smallrtc_cli.errors import ExitCode, OfferRefused
from smallrtc_cli.protocol.session import State
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.web.client import HttpExchange

ROOT = Path(__file__).parents[2]
CORE = {"aiortc", "aioice", "av", "numpy", "cryptography", "OpenSSL", "pylibsrtp", "dns"}
NEEDED_LATER = CORE | {"rich", "prometheus_client", "watchfiles", "sounddevice", "livekit", "segno"}

LEFT_OUT = ("CI", "GITHUB_ACTIONS", "SMALLRTC_", "PIPECAT_")

PRELUDE = """
import json, sys
from smallrtc_cli.cli import main
from smallrtc_cli.commands import serve
from smallrtc_cli.errors import CannotRun

def tell(**what):
    print(json.dumps(what), file=sys.__stdout__, flush=True)

opening, loading, greeting, offering = serve._Entrance.open, serve._load, serve._greet, serve.LateCalls.offer

async def opened(entrance):
    await opening(entrance)
    tell(url=entrance.url, modules=[*sys.modules])

async def offered(calls, request):
    tell(offered=True)
    return await offering(calls, request)

def loaded(*arguments):
    if sys.stdin.readline() == "fail\\n":
        raise CannotRun("it cannot be loaded")
    return loading(*arguments)

def greeted(*arguments):
    greeting(*arguments)
    tell(ready=True, modules=[*sys.modules])

serve._Entrance.open, serve._load, serve._greet, serve.LateCalls.offer = opened, loaded, greeted, offered
code = main(["serve", "--port", "0", *sys.argv[1:]])
tell(modules=[*sys.modules])
sys.exit(code)
"""

BOT = """
async def bot(runner_args):
    await runner_args.webrtc_connection.wait_closed()
"""


class Starting:
    """The command: it tells when its port is open, and loads what answers when it is told to."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("CI", "GITHUB_", "SMALLRTC_", "PIPECAT_"))
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE, *arguments],
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def told(self) -> dict[str, Any]:
        """The next thing that it tells."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), 20)
        assert line, self._process.communicate(timeout=10)
        found: dict[str, Any] = json.loads(line)
        return found

    def load(self, word: str = "load") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    async def ended(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr, once it has ended."""
        if number is not None:
            self._process.send_signal(number)
        assert self._process.stderr is not None
        errors = await asyncio.wait_for(asyncio.to_thread(self._process.stderr.read), 20)
        return await asyncio.to_thread(self._process.wait, 20), errors

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate(timeout=10)


@pytest.fixture
def starting(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Starting:
            command = Starting(tmp_path, *arguments)
            stack.callback(command.close)
            return command

        yield start


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


def libraries(told: dict[str, Any]) -> set[str]:
    return {name.partition(".")[0] for name in told["modules"]}


@pytest.mark.parametrize("arguments", [["echo"], ["tone", "--isolate"], ["bot.py", "--reload"]])
async def test_nothing_that_only_calls_need_is_loaded_before_the_port_is_open(starting, tmp_path, arguments):
    (tmp_path / "bot.py").write_text(BOT)
    told = await starting(*arguments).told()
    assert "aiohttp" in libraries(told)
    assert not libraries(told) & NEEDED_LATER


async def test_page_and_status_are_there_while_what_answers_is_loaded_and_a_first_call_imports_nothing(starting):
    server = starting("echo")
    url = (await server.told())["url"]
    assert (await get(url))[0] == 200
    status, text = await get(f"{url}/status")
    assert (status, json.loads(text)["bot"], json.loads(text)["error"]) == (200, "echo", None)

    async with HttpExchange(url) as exchange:
        early = asyncio.create_task(Dialer(exchange, AUDIO_ONLY).dial())
        scraping = asyncio.create_task(get(f"{url}/metrics"))
        assert (await server.told())["offered"]
        assert (await get(f"{url}/status"))[0] == 200
        assert not early.done()
        server.load()
        ready = await server.told()
        connection = await asyncio.wait_for(early, 20)
        await until(lambda: connection.state is State.CONNECTED)
        assert (await asyncio.wait_for(scraping, 20))[0] == 200
        assert (await get(f"{url}/stats"))[0] == 200
        await connection.disconnect()

    assert ready["ready"]
    assert libraries(ready) >= CORE
    code, errors = await server.ended(signal.SIGINT)
    assert code == ExitCode.INTERRUPTED
    later = {name for name in (await server.told())["modules"] if name not in ready["modules"]}
    ours = {name for name in later if name.partition(".")[0] in NEEDED_LATER | {"smallrtc_cli"}}
    assert not ours, errors


async def test_who_waits_is_refused_when_what_answers_cannot_be_loaded_and_that_is_said(starting):
    server = starting("echo")
    url = (await server.told())["url"]
    async with HttpExchange(url) as exchange:
        early = asyncio.create_task(Dialer(exchange, AUDIO_ONLY).dial())
        assert (await server.told())["offered"]
        server.load("fail")
        with pytest.raises(OfferRefused, match="shutting down") as refused:
            await asyncio.wait_for(early, 20)
    assert refused.value.status == 503
    code, errors = await server.ended()
    assert code == ExitCode.CANNOT_RUN
    assert errors.splitlines()[0] == "error: it cannot be loaded"
    assert "ready" not in errors


async def test_a_token_in_dot_env_keeps_the_door_from_the_first_moment_on(starting, tmp_path):
    (tmp_path / ".env").write_text("SMALLRTC_TOKEN=s3cret\n")
    url = (await starting("echo").told())["url"]
    assert (await get(f"{url}/status"))[0] == 401
    assert (await get(f"{url}/status?token=s3cret"))[0] == 200


async def test_what_cannot_be_meant_is_said_before_anything_listens(starting):
    server = starting("echo", "--interface", "nonsense")
    assert "url" not in await server.told()
    code, errors = await server.ended()
    assert code == ExitCode.USAGE
    assert errors.startswith("error: no network interface is `nonsense`")


ENDS = [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.OK)]


@pytest.mark.parametrize(("number", "code"), ENDS)
async def test_a_signal_while_what_answers_is_loaded_ends_it(starting, number, code):
    server = starting("echo")
    url = (await server.told())["url"]
    assert (await get(f"{url}/status"))[0] == 200
    server._process.send_signal(number)
    server.load()
    assert await server.ended() == (code, "")


SLOW_IN_A_CHILD = """
import pathlib, sys, time
if "smallrtc_cli.bots.child" in sys.modules:
    pathlib.Path("loading").touch()
    time.sleep(30)
"""


@pytest.mark.parametrize(("number", "code"), ENDS)
async def test_a_signal_while_a_process_loads_the_bot_leaves_none_behind(starting, tmp_path, number, code):
    (tmp_path / "bot.py").write_text(SLOW_IN_A_CHILD + BOT)
    server = starting("bot.py", "--isolate")
    await server.told()
    server.load()
    await until((tmp_path / "loading").exists, 20)
    assert await server.ended(number) == (code, "")
