"""Keeps the garbage collector from holding up the start, and from stopping the sound after it."""

import contextlib
import gc
from collections.abc import Iterator

_USUAL = gc.get_threshold()
_WHILE_STARTING = 200_000
"New objects until a collection: `smallrtc serve` has 155,000 when it is ready, all but 2,000 of them in use."


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Let the collector wait until `spare_imports`, at the latest until the end of the block.

    Nearly nothing of what imports make is garbage, and looking for it takes an eighth of the start.
    """
    gc.set_threshold(_WHILE_STARTING)
    try:
        yield
    finally:
        _as_usual()


def spare_imports() -> None:
    """Have a full collection look no more at what is there now, once: modules live as long as the process.

    They are 65,000 objects; to look through them takes 14 to 16 ms, in which no packet leaves.
    """
    if not gc.get_freeze_count():
        gc.freeze()
    _as_usual()


def _as_usual() -> None:
    """Unless a bot that was loaded meanwhile has set thresholds of its own."""
    if gc.get_threshold()[0] == _WHILE_STARTING:
        gc.set_threshold(*_USUAL)
