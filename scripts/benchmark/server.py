"""A server in a process of its own: started, looked at from outside, and ended by its pid. Linux only."""

import asyncio
import contextlib
import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmark.contestants import Contestant

_STARTS_WITHIN = 40.0  # seconds
_LOOKS_EVERY = 0.002  # seconds between two attempts to reach the port: the resolution of its figure
_ENDS_WITHIN = 3.0  # seconds, when asked; then it is killed
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class DidNotStart(Exception):
    """The port did not open; the message has the last that the server said."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used or holds."""

    cpu: float
    "Seconds of user and system time."

    memory: int
    "Resident bytes."

    threads: int
    sockets: int


class Server:
    """A contestant that runs; an asynchronous context."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.started_after = 0.0
        "Seconds from the start of the process until its port was open."
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}{contestant.path}"

    async def __aenter__(self) -> Self:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __aexit__
        self._folder = tempfile.TemporaryDirectory()
        began = time.monotonic()
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it is the figure
            [part.format(port=self._port) for part in self.contestant.command],
            cwd=self._folder.name,
            env=environment() | self.contestant.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        try:
            await self._until_open(began + _STARTS_WITHIN)
        except BaseException:
            self._end()
            raise
        self.started_after = time.monotonic() - began
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()

    async def _until_open(self, deadline: float) -> None:
        while not _is_open(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{self.contestant.name} did not start: {self._last_words()}")
            await asyncio.sleep(_LOOKS_EVERY)

    def usage(self) -> Usage:
        """As of now; fails with `OSError` when the process is gone.

        Memory is that of `statm`, which newer kernels count to the page; `stat` tells it in steps of 32 pages a core.
        """
        proc = Path(f"/proc/{self._process.pid}")
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        resident = int((proc / "statm").read_text().split()[1])
        held = [_target(entry) for entry in (proc / "fd").iterdir()]
        cpu = (int(fields[11]) + int(fields[12])) / _TICK  # utime and stime, the 14th and 15th
        sockets = sum(target.startswith("socket:") for target in held)
        return Usage(cpu, resident * _PAGE, int(fields[17]), sockets)

    def _last_words(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:])[-300:] or "it said nothing"

    def _end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(_ENDS_WITHIN)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self._output.close()
        self._folder.cleanup()


def environment() -> dict[str, str]:
    """Ours, without what would configure one of the servers."""
    left_out = ("PIPECAT_", "SMALLRTC_", "CI", "GITHUB_ACTIONS")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:  # closed meanwhile
        return ""
