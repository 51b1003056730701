"""Calls by `smallrtc connect` in processes of their own, for tests: what they said, kept and heard."""

import re
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from served import Command, running

RATE = 48_000

SILENT = ("--no-input", "--no-output")
"Without a sound card."


async def call(folder: Path, *arguments: str | Path, timeout: float = 40.0, **environment: str) -> Command:
    """A call that ends by itself: the process, after it."""
    with running(folder, "connect", *arguments, **environment) as process:
        await process.ended(timeout)
        return process


def sentence(process: Command) -> tuple[str, str]:
    """The one `error:` line, and its hint; nothing else may look like a failure."""
    assert "Traceback" not in process.errors
    (error,) = re.findall(r"^error: (.*)$", process.errors, re.MULTILINE)
    (hint,) = re.findall(r"^hint: (.*)$", process.errors, re.MULTILINE)
    return error, hint


def recorded(path: Path) -> NDArray[np.int16]:
    """What `--record-to` kept: left me, right the bot."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def pitch(side: NDArray[np.int16]) -> float:
    """Hz of the strongest part of half a second in the middle of what is loud."""
    where = np.flatnonzero(np.abs(side) > 1000)
    middle = (where[0] + where[-1]) // 2
    piece = side[max(0, middle - RATE // 4) : middle + RATE // 4]
    return float(np.argmax(np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 4 * RATE)))) / 4
