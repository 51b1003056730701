"""Readers of option values that several commands have."""

import math
from collections.abc import Callable
from typing import Any

from smallrtc_cli.errors import UsageError

_LONGEST = 86_400.0
"Seconds: a day."


def seconds(option: str, most: float = _LONGEST) -> Callable[[Any], float]:
    """A reader of times: a number above 0, no more than `most`."""

    def parse(text: Any) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value <= most:
            raise UsageError(f"`{option} {text}` is no time", hint=f"give seconds, above 0 and up to {most:g}")
        return value

    return parse
