"""What is known of an attempt to connect, line by line, for people who look for the cause themselves."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from smallrtc_cli.rtc.attempt import Evidence

_SHOWN: Final = 6  # candidates or pairs in one list


def facts(e: Evidence) -> Iterable[str]:
    yield f"this side offered {_list(map(str, e.local)) or 'nothing'}"
    yield f"the {e.other} offered {_list(map(str, e.remote)) or 'nothing'}"
    lost = [end.address for end in e.remote if end.family == "name" and end.address not in e.resolved]
    if lost:
        yield f"not resolved here: {_list(lost)}"
    if e.pairs:
        states = Counter(
            "no answer yet" if p.state in ("in-progress", "waiting", "frozen") else p.state for p in e.pairs
        )
        yield f"{counted(len(e.pairs), 'pair')}: " + ", ".join(f"{n} {state}" for state, n in states.items())
        yield f"tried {_list(map(str, e.pairs))}"
    yield (
        f"{counted(e.responses_heard, 'answer')} to our checks, {counted(e.checks_heard, 'check')} of the {e.other}"
        f", DTLS {e.dtls}"
    )
    if e.servers:
        yield f"asked {_list(e.servers)}"
    yield from (f"{server}: {reason}" for server, reason in (*e.server_errors.items(), *e.host_errors.items()))


def _list(texts: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    more = len(distinct) - _SHOWN
    return ", ".join(distinct[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
