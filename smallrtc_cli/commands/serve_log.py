"""What `smallrtc serve` tells while it runs: each event as a line for people, or as a JSON object for scripts."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.reload import Broken, Reloaded
from smallrtc_cli.report.metrics import Totals

_SHORT = 4
"Characters of a session's id that people see."

_SILENT = frozenset({"offered", "bot-ended"})


def short(session: str) -> str:
    """The name of a session for people."""
    return session[:_SHORT]


def lines_of(event: SessionEvent, sessions_left: int) -> list[str]:
    """An event in words; nothing for what people need not know."""
    detail = event.detail
    match event.event:
        case "connected" | "reconnected" as how:
            return [_connected(detail, again=how == "reconnected")]
        case "lost":
            return ["nothing is heard any more, waiting for it to come back"]
        case "resumed":
            return ["heard again"]
        case "path":
            return [_path(detail)]
        case "stalled":
            return [f"the data channel is stalled: {detail['why']}"]
        case "flowing":
            return ["the data channel flows again"]
        case "said":
            return [f"bot says: {detail['line']}"]
        case "bot-failed":
            trace = str(detail["traceback"]).splitlines()
            return [*trace, f"bot failed: {detail['error']}   the caller was told, the call is closed"]
        case "closed":
            return [_closed(detail, sessions_left)]
        case _:
            return []


def _connected(detail: Mapping[str, Any], *, again: bool) -> str:
    took = f" in {detail['milliseconds']:.0f} ms" if "milliseconds" in detail else ""
    path = f" ({detail['local']} to {detail['remote']}, {detail['protocol']})" if "local" in detail else ""
    return ("back on a new path" if again else "connected") + took + path


def _path(detail: Mapping[str, Any]) -> str:
    if detail["mtu"] is None:
        what = "MTU below 576" if detail["outcome"] == "below" else "the path does not tell its MTU"
        return f"{what}, chunk {detail['chunk']}"
    least = "at least " if detail["limit"] == "none" else ""
    why = {"icmp": " (a router says so)", "black-hole": " (longer packets disappear)"}.get(detail["limit"], "")
    return f"MTU {least}{detail['mtu']}{why}, chunk {detail['chunk']}"


def _closed(detail: Mapping[str, Any], sessions_left: int) -> str:
    why = f": {detail['diagnosis']}" if detail.get("diagnosis") else ""
    left = f"   {sessions_left} left" if sessions_left else ""
    return f"closed ({detail['reason']}){why}{left}"


class ServeLog:
    """Writes what happens, and counts it."""

    def __init__(self, write: Callable[[str], None], *, as_json: bool) -> None:
        """`write` takes a line; `as_json` makes each an object of its own."""
        self._write, self._as_json = write, as_json
        self._closed: Counter[str] = Counter()
        self._bot_failures = 0

    @property
    def totals(self) -> Totals:
        """What was counted since the start."""
        return Totals(closed=dict(self._closed), bot_failures=self._bot_failures)

    def session(self, event: SessionEvent, sessions_left: int = 0) -> None:
        """Something happened to a session."""
        self._closed.update([event.detail["reason"]] if event.event == "closed" else [])
        self._bot_failures += event.event == "bot-failed"
        if self._as_json:
            self._object(event.event, session=event.session, **event.detail)
            return
        for line in lines_of(event, sessions_left):
            self.line(f"{short(event.session)}  {line}")

    def reload(self, event: Reloaded | Broken, sessions: int) -> None:
        """The bot's files were edited."""
        names = ", ".join(event.changed) or "the bot"
        if self._as_json:
            broken = {"error": str(event.error), "traceback": event.traceback} if isinstance(event, Broken) else {}
            self._object("reload-failed" if broken else "reloaded", changed=list(event.changed), **broken)
        elif isinstance(event, Broken):
            for line in event.traceback.splitlines():
                self.line(line)
            self.line(f"reload {names} failed: {event.error}   new calls get the version before")
        else:
            keep = f", {sessions} {'call keeps' if sessions == 1 else 'calls keep'} the old code" if sessions else ""
            self.line(f"reload {names}   new calls get it{keep}")

    def line(self, text: str) -> None:
        """A line of its own, with the time."""
        if not self._as_json:
            self._write(f"{time.strftime('%H:%M:%S')}  {text}")

    def ready(self, **detail: Any) -> None:
        """The server listens."""
        if self._as_json:
            self._object("ready", **detail)

    def _object(self, event: str, **detail: Any) -> None:
        self._write(json.dumps({"event": event, "at": round(time.time(), 3), **detail}, ensure_ascii=False))
