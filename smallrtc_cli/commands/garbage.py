"""Keeps the garbage collector from stopping the sound."""

import gc


def spare_imports() -> None:
    """Have a full collection look no more at what is there now, once: modules live as long as the process.

    They are 65,000 objects; to look through them takes 14 to 16 ms, in which no packet leaves.
    """
    if not gc.get_freeze_count():
        gc.freeze()
