"""What `smallrtc connect` tells while it runs: each event as a line for people, or as a JSON object for scripts."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

_FOR_SCRIPTS: Final = frozenset(
    {"statistics", "message", "sent", "first-audio", "answer", "channel-open", "muted", "path"}
)
"People see these in other words: the conversation, the view, the summary."

_PLAIN: Final = {
    "lost": "nothing is heard any more",
    "resumed": "heard again",
    "flowing": "messages get through again",
    "played": "all was played",
}


def words(event: str, detail: Mapping[str, Any]) -> str | None:
    """An event in words; None for what people need not know."""
    match event:
        case "dialing":
            return f"calling {detail['url']}"
        case "connected" | "reconnected":
            again = "back" if event == "reconnected" else "connected"
            took = f" in {detail['milliseconds']:.0f} ms" if detail.get("milliseconds") is not None else ""
            return again + took + (f" ({detail['path']})" if detail.get("path") else "")
        case "stalled":
            return f"messages do not get through: {detail['why']}"
        case "redialing":
            return f"calling again: {detail['reason']}"
        case "refused" | "trouble":
            return str(detail["sentence"])
        case "expected":
            return f"heard what was expected: {json.dumps(detail['expected'], ensure_ascii=False)}"
        case _:
            return _PLAIN.get(event)


class CallLog:
    """Writes what happens."""

    def __init__(self, write: Callable[[str], None], *, as_json: bool) -> None:
        """`write` takes a line; `as_json` makes each an object of its own."""
        self._write, self.as_json = write, as_json

    def event(self, event: str, **detail: Any) -> None:
        """Something happened."""
        if self.as_json:
            self._write(json.dumps({"event": event, "at": round(time.time(), 3), **detail}, ensure_ascii=False))
        elif event not in _FOR_SCRIPTS and (line := words(event, detail)) is not None:
            self.line(line)

    def line(self, text: str) -> None:
        """A line of its own, with the time; nothing where scripts read."""
        if not self.as_json:
            self._write(f"{time.strftime('%H:%M:%S')}  {text}")
