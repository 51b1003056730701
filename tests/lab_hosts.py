"""The two hosts of a laboratory with a peer on each: what a test says to them, and what they answer."""

import json
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ice_services import coturn
from netlab import ADDRESSES, Lab

PATIENCE = 40.0
"Seconds until a peer that does not answer counts as dead; it waits for half of that itself."

_SCRIPT: Final = Path(__file__).with_name("lab_peer.py")
_ENVIRONMENT: Final = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class Host:
    """A `lab_peer` in a process of its own; stderr is kept in a file."""

    def __init__(self, lab: Lab, node: str, log: Path) -> None:
        self._log = log
        with log.open("w") as errors:
            self.process = lab.run(node, [sys.executable, _SCRIPT], stderr=errors, env=_ENVIRONMENT)
        self._number = 0
        self._replies: queue.Queue[str] = queue.Queue()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stdout:
            self._replies.put(line)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have a command done; fails with the peer's own words."""
        self.begin(do, **arguments)
        return self.result()

    def begin(self, do: str, **arguments: Any) -> None:
        """Have a command done while the test goes on; `result` waits for it."""
        self._number += 1
        self._stdin.write(json.dumps({"do": do, "number": self._number, **arguments}) + "\n")
        self._stdin.flush()

    def result(self) -> dict[str, Any]:
        """The reply to the last command; what nobody has waited for before, as a failed test may, is passed over."""
        reply: dict[str, Any] = {}
        while reply.get("number") != self._number:
            try:
                reply = json.loads(self._replies.get(timeout=PATIENCE))
            except queue.Empty:
                raise AssertionError(f"no reply within {PATIENCE:g} s: {self._log.read_text()[-2000:]}") from None
        assert "error" not in reply, f"{reply['error']}\n{self._log.read_text()[-2000:]}"
        return reply

    def close(self) -> int:
        """Let it end with its stdin; its exit code."""
        self._stdin.close()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join(10)
            self._stdout.close()


class Hosts:
    """A laboratory in which `a` can call `b`."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self._folder = lab, folder
        self.a, self.b = (Host(lab, node, folder / f"{node}.log") for node in ("a", "b"))

    def call(self, family: int = 4, chunk: int | None = None, turn: str | None = None) -> dict[str, Any]:
        """A new call in the place of the one before; both sides use that chunk size, or find theirs."""
        self.a.ask("hang_up")
        url = self.b.ask("answer", host=ADDRESSES["b"][4], chunk=chunk)["url"]
        return self.a.ask("call", url=url, interface=ADDRESSES["a"][family], chunk=chunk, turn=turn)

    def paths(self) -> list[dict[str, Any]]:
        """What each side measures: the way up, the way down."""
        for host in (self.a, self.b):
            host.begin("path")
        return [host.result() for host in (self.a, self.b)]

    def exchange(self, size: int, tries: int | None = None) -> list[str]:
        """Send so many bytes up and as many down at the same time: how that ends, `arrived` or `stalled`."""
        for host in (self.a, self.b):
            host.begin("send", size=size, tries=tries)
        return [reply["outcome"] for reply in (self.a.result(), self.b.result())]

    def close(self) -> list[int]:
        """End both; their exit codes."""
        return [host.close() for host in (self.a, self.b)]

    @contextmanager
    def turn_server(self, node: str, certificate: tuple[Path, Path]) -> Iterator[str]:
        """A TURN server on a node, until the end of a block and of the call in it; its URL."""
        folder = Path(tempfile.mkdtemp(prefix="turn-", dir=self._folder))
        with coturn(folder, certificate, ADDRESSES[node][4], self.lab.command(node, [])) as server:
            yield str(server.ice_server().urls)
            self.a.ask("hang_up")
