"""The pump and the sink that only counts."""

import asyncio

import pytest

from smallrtc_cli.audio.ends import Nowhere, Sink, pump


async def pieces(closed):
    try:
        for piece in (b"abcd", b"efghijkl", b"mnop"):
            yield piece
    finally:
        closed.append(True)


async def test_all_pieces_are_written_in_order():
    written, closed = [], []

    async def write(piece):
        written.append(piece)

    await pump(pieces(closed), write)
    assert written == [b"abcd", b"efghijkl", b"mnop"]
    assert closed


async def test_a_source_is_closed_when_the_sink_fails():
    closed = []

    async def write(piece):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await pump(pieces(closed), write)
    assert closed


async def test_a_source_is_closed_when_the_pump_is_cancelled():
    closed, writing = [], asyncio.Event()

    async def write(piece):
        writing.set()
        await asyncio.Event().wait()

    pumping = asyncio.create_task(pump(pieces(closed), write))
    await writing.wait()
    pumping.cancel()
    await asyncio.wait({pumping})
    assert closed


async def test_nowhere_counts_stereo_samples():
    sink: Sink = Nowhere()
    await sink.write(bytes(4 * 480))
    await sink.write(bytes(4 * 20))
    assert (sink.samples, sink.delay) == (500, 0.0)
