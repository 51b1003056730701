"""`smallrtc probe-mtu` in processes of its own, for tests, and paths to probe."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from calls import answering, idle_bot
from path_relay import Link, PathRelay, path_relay
from served import Command, running

from smallrtc_cli.web.server import SignallingServer


async def probe(folder: Path, *arguments: str | Path, **more: Any) -> Command:
    """A probe that ends by itself: the process, after it."""
    with running(folder, "probe-mtu", *arguments, **more) as process:
        await process.ended(40)
        return process


async def found(folder: Path, *arguments: str | Path, **more: Any) -> dict[str, Any]:
    """What `--json` prints, and the exit code beside it."""
    process = await probe(folder, *arguments, "--json", **more)
    assert process.out, process.errors
    document: dict[str, Any] = json.loads("".join(process.out))
    return document | {"exit_code": process.process.returncode}


@contextlib.asynccontextmanager
async def behind_relay(link: Link) -> AsyncIterator[tuple[str, PathRelay]]:
    """The URL of a server of ours that is reached on such a path, and the path."""
    async with answering(idle_bot) as server:
        with path_relay(link) as relay:
            door = SignallingServer(relay.through(server.supervisor))
            try:
                yield await door.start(), relay
            finally:
                await door.close()
