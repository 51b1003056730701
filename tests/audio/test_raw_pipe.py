"""Raw sound into a pipe: in order, without waiting for the reader, and with a word when he has gone."""

import asyncio
import os
import subprocess
import sys
from queue import Empty, Full

import pytest
from calls import until

from smallrtc_cli.audio import raw_pipe
from smallrtc_cli.audio.raw_pipe import RawPipe


@pytest.fixture
def pipe():
    """Both ends of a pipe, as files."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as sink:
        yield source, sink


def read_all(stream):
    return b"".join(iter(lambda: stream.read(100_000), b""))


async def test_all_arrives_in_order(pipe):
    reading, writing = pipe
    out = RawPipe(writing)
    for n in range(20):
        out.write(bytes([n]) * 10_000)
    out.close()
    heard = asyncio.ensure_future(asyncio.to_thread(read_all, reading))
    await out.flushed()
    writing.close()
    assert await heard == b"".join(bytes([n]) * 10_000 for n in range(20))
    assert out.dropped == 0


async def test_a_slow_reader_costs_sound_and_no_time(pipe):
    reading, writing = pipe
    out = RawPipe(writing)
    for n in range(200):
        out.write(bytes([n]) * 40_000)
    assert out.dropped >= 100 * 40_000
    heard = asyncio.ensure_future(asyncio.to_thread(read_all, reading))
    out.close()
    await out.flushed()
    writing.close()
    assert len(await heard) == 200 * 40_000 - out.dropped


async def test_a_reader_that_has_gone_is_an_error_of_a_later_write(pipe):
    reading, writing = pipe
    reading.close()
    out = RawPipe(writing)

    def is_broken():
        try:
            out.write(bytes(4))
        except BrokenPipeError:
            return True
        return False

    await until(is_broken)
    out.close()
    await out.flushed()


async def test_the_end_waits_for_a_reader_that_is_stuck_only_for_a_while(pipe, monkeypatch):
    monkeypatch.setattr(raw_pipe, "_FLUSH", 0.05)
    reading, writing = pipe
    out = RawPipe(writing)
    for _ in range(200):
        out.write(bytes(40_000))
    out.close()
    async with asyncio.timeout(10):
        await out.flushed()
    heard = await asyncio.to_thread(reading.read, 1000)
    assert heard == bytes(1000)
    reading.close()  # lets the thread go
    await asyncio.to_thread(out._thread.join, 10)
    assert not out._thread.is_alive()


async def test_a_reader_that_catches_up_just_when_room_is_made_for_the_end_costs_nothing(pipe):
    _, writing = pipe
    out = RawPipe(writing)
    inner, tries = out._waiting, iter([True, False])

    class CaughtUp:
        """Full when the end is put, empty when room is made for it."""

        def put_nowait(self, item):
            if next(tries):
                raise Full
            inner.put_nowait(item)

        def get_nowait(self):
            raise Empty

    out._waiting = CaughtUp()
    out.close()
    await out.flushed()
    assert (out.dropped, out._thread.is_alive()) == (0, False)


SCRIPT = """
import sys
from smallrtc_cli.audio.raw_pipe import RawPipe

out = RawPipe(sys.stdout)
for _ in range(10):
    out.write(bytes(40_000))
print("done", file=sys.stderr)
"""


def test_a_reader_that_is_stuck_does_not_hold_up_the_end_of_the_process():
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert process.stderr.read() == b"done\n"
