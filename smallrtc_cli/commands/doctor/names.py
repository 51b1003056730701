"""Names to addresses: does the resolver answer, and is `localhost` this machine?"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Final

from smallrtc_cli.commands.doctor.bounds import STEP, Tell, Tried, tried
from smallrtc_cli.report.stages import Mark, Stage
from smallrtc_cli.rtc.addresses import is_literal
from smallrtc_cli.rtc.lookup import look_up

NAME: Final = "dns"

LOCALHOST: Final = "localhost"

_UNANSWERED: Final = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM})
"The resolver was not reached, or is broken; any other error is an answer."

Found = Tried[tuple[str, ...]]


async def examine(names: Iterable[str], tell: Tell) -> None:
    """Look the names up, all at once, and none that nobody needs: a question leaves the machine."""
    needed = {name for name in names if not is_literal(name) and not _is_local(name)}
    asked = [LOCALHOST, *sorted(needed)]
    found = await asyncio.gather(*(tried(look_up(name)) for name in asked))
    tell(judge(dict(zip(asked, found, strict=True))))


def _is_local(name: str) -> bool:
    """Names that are this machine's without asking anybody (RFC 6761)."""
    return name.lower().rstrip(".") == LOCALHOST or name.lower().rstrip(".").endswith(f".{LOCALHOST}")


def judge(lookups: Mapping[str, Found]) -> Stage:
    """What became of `localhost` and of the names that are needed. That a name is unknown is an answer."""
    others = {name: found for name, found in lookups.items() if name != LOCALHOST}
    seconds = max(found.seconds for found in lookups.values())
    if (wrong := _localhost(lookups[LOCALHOST])) is not None:
        return Stage(NAME, Mark.FAIL, wrong, "put `127.0.0.1 localhost` into the hosts file", seconds)
    for name, found in others.items():
        if (silence := _silence(found)) is not None:
            cure = "is this machine online, and is its resolver (`/etc/resolv.conf`) right? Addresses work without it"
            return Stage(NAME, Mark.FAIL, f"DNS: {silence} to `{name}`", cure, seconds)
    if not others:
        return Stage(NAME, Mark.OK, "`localhost` is this machine, and no other name is needed", None, seconds)
    known = ", ".join(f"`{name}` {_words(found)}" for name, found in others.items())
    return Stage(NAME, Mark.OK, f"DNS answers: {known}", None, seconds)


def _localhost(found: Found) -> str | None:
    if found.value is None:
        return "`localhost` has no address"
    foreign = [each for each in found.value if not ipaddress.ip_address(each.partition("%")[0]).is_loopback]
    return f"`localhost` is {foreign[0]}, another machine" if foreign else None


def _silence(found: Found) -> str | None:
    if isinstance(found.error, TimeoutError):
        return f"no answer in {STEP:g} s"
    if isinstance(found.error, socket.gaierror) and found.error.errno in _UNANSWERED:
        return "no answer"
    return None


def _words(found: Found) -> str:
    return found.value[0] if found.value else "is unknown"
