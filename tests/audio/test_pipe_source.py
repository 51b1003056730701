"""A pipe as a source: what is read, when, and that nobody waits for it."""

import asyncio
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from smallrtc_cli.audio.pcm import WrongFormat
from smallrtc_cli.audio.pipe_source import PipeSource


@pytest.fixture
def pipe():
    """Both ends of a pipe, as files."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as sink:
        yield source, sink


async def next_piece(pieces):
    async with asyncio.timeout(10):
        return await anext(pieces)


async def everything(source):
    async with asyncio.timeout(10):
        return b"".join([piece async for piece in source])


async def test_all_comes_until_the_end_of_file(pipe):
    reading, writing = pipe
    audio = np.arange(20_000).astype("<i2").tobytes()
    writing.write(audio)
    writing.close()
    source = PipeSource(reading)
    assert (source.name, source.live) == ("stdin", False)
    assert await everything(source) == audio


async def test_other_rates_and_channels_are_converted(pipe):
    reading, writing = pipe
    writing.write(np.full(2 * 8_000, 1000, "<i2").tobytes())
    writing.close()
    sound = np.frombuffer(await everything(PipeSource(reading, 16_000, 2)), "<i2")
    assert len(sound) == pytest.approx(24_000, abs=100)
    assert np.median(sound) == pytest.approx(1000, abs=2)


async def test_a_sample_that_was_torn_apart_is_one_again(pipe):
    reading, writing = pipe
    pieces = aiter(PipeSource(reading))
    writing.write(b"\1\2\3")
    first = await next_piece(pieces)
    writing.write(b"\4")
    assert first + await next_piece(pieces) == b"\1\2\3\4"
    await pieces.aclose()


async def test_the_loop_goes_on_while_nothing_comes(pipe):
    reading, writing = pipe
    pieces = aiter(PipeSource(reading))
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    writing.write(b"\1\2")
    async with asyncio.timeout(10):
        assert await waiting == b"\1\2"
    await pieces.aclose()


async def test_no_more_is_read_than_is_played(pipe):
    reading, writing = pipe
    writing.write(bytes(10 * 1920))
    pieces = aiter(PipeSource(reading))
    assert len(await next_piece(pieces)) == 1920
    await asyncio.sleep(0.05)
    os.set_blocking(reading.fileno(), False)
    assert len(reading.read(100_000)) == 9 * 1920
    await pieces.aclose()


async def test_a_pipe_that_cannot_be_read_is_an_error(tmp_path):
    with (tmp_path / "file").open("wb") as not_for_reading:
        with pytest.raises(OSError, match="Bad file descriptor"):
            await everything(PipeSource(not_for_reading))


async def test_the_thread_ends_with_its_reader(pipe):
    reading, writing = pipe
    writing.write(bytes(4000))
    pieces = aiter(PipeSource(reading))
    await next_piece(pieces)
    name = f"reads {reading.fileno()}"
    (thread,) = [each for each in threading.enumerate() if each.name == name]
    await pieces.aclose()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


def test_a_wrong_format_is_said_before_anything_is_read(pipe):
    with pytest.raises(WrongFormat):
        PipeSource(pipe[0], 48_000, 3)


SCRIPT = """
import asyncio, sys
from smallrtc_cli.audio.pipe_source import PipeSource

async def main():
    reading = asyncio.ensure_future(anext(aiter(PipeSource(sys.stdin))))
    await asyncio.sleep(0.2)
    reading.cancel()
    await asyncio.wait({reading})
    print("done")

asyncio.run(main())
"""


def test_a_pipe_in_which_nothing_comes_does_not_hold_up_the_end_of_the_process():
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert process.stdout.read() == b"done\n"
        assert process.stderr.read() == b""
