"""A bot's pictures: which are taken, which are shown, and when."""

import asyncio
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.mediastreams import MediaStreamError

from smallrtc_cli.rtc.video import FRAME, BotVideoTrack, OutputImageRawFrame, WrongPicture

SOON = 5.0
RED, GREEN = (255, 0, 0), (0, 255, 0)


def _picture(colour=RED, size=(64, 48), **fields):
    return OutputImageRawFrame(bytes(colour) * (size[0] * size[1]), size, **fields)


def _colour(frame):
    return tuple(int(value) for value in frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0).round())


async def _next(track):
    async with asyncio.timeout(SOON):
        return await track.recv()


@pytest.mark.parametrize("colour", [RED, GREEN, (0, 0, 255)])
async def test_a_picture_is_shown_in_its_colours_and_size(colour):
    track = BotVideoTrack()
    track.show(_picture(colour, (80, 48)))
    frame = await _next(track)
    assert (frame.width, frame.height, frame.format.name) == (80, 48, "yuv420p")
    assert _colour(frame) == pytest.approx(colour, abs=4)


async def test_rows_and_columns_keep_their_places():
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32] = 255
    track = BotVideoTrack()
    track.show(OutputImageRawFrame(pixels.tobytes(), (64, 48)))
    shown = (await _next(track)).to_ndarray(format="rgb24")
    assert shown[:20, :28].min() > 240
    assert max(shown[28:].max(), shown[:, 36:].max()) < 15


async def test_nothing_is_shown_before_the_first_picture():
    track = BotVideoTrack()
    waiting = asyncio.create_task(track.recv())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    track.show(_picture())
    async with asyncio.timeout(SOON):
        assert _colour(await waiting) == pytest.approx(RED, abs=4)


async def test_a_picture_is_repeated_until_the_next_one():
    track = BotVideoTrack()
    track.show(_picture(RED))
    first, second = await _next(track), await _next(track)
    track.show(_picture(GREEN))
    third = await _next(track)
    assert [_colour(frame)[0] > 200 for frame in (first, second, third)] == [True, True, False]
    assert [frame.pts for frame in (first, second, third)] == [0, 3000, 6000]
    assert third.time_base == Fraction(1, 90_000)


async def test_the_buffer_of_a_picture_belongs_to_the_bot():
    buffer = bytearray(bytes(RED) * (64 * 48))
    track = BotVideoTrack()
    track.show(OutputImageRawFrame(buffer, (64, 48)))
    buffer[:] = bytes(len(buffer))
    assert _colour(await _next(track)) == pytest.approx(RED, abs=4)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (OutputImageRawFrame(bytes(100), (64, 48)), "a picture of 64 x 48 has 100 bytes, not 9216"),
        (OutputImageRawFrame(b"", (0, 0)), "a picture of 0 x 0 has 0 bytes, not 0"),
        (OutputImageRawFrame(bytes(9), (-1, -3)), "a picture of -1 x -3 has 9 bytes, not 9"),
        (_picture(format="RGBA"), "a picture is in the format `RGBA`, not `RGB`"),
    ],
)
async def test_a_wrong_picture_is_refused_and_the_one_before_stays(frame, sentence):
    track = BotVideoTrack()
    track.show(_picture(GREEN))
    with pytest.raises(WrongPicture, match=sentence):
        track.show(frame)
    assert _colour(await _next(track)) == pytest.approx(GREEN, abs=4)


async def test_a_libav_frame_is_shown_as_it_is():
    pixels = np.full((48, 64, 3), GREEN, np.uint8)
    track = BotVideoTrack()
    track.show(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p"))
    frames = [await _next(track), await _next(track)]
    assert [_colour(frame) for frame in frames] == [pytest.approx(GREEN, abs=4)] * 2


async def test_nothing_is_shown_while_it_is_hidden_and_time_goes_on():
    track = BotVideoTrack()
    track.show(_picture(RED))
    first = await _next(track)
    track.hide()
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(5 * FRAME)
    assert not waiting.done()
    track.show(_picture(GREEN))
    async with asyncio.timeout(SOON):
        second = await waiting
    assert _colour(second) == pytest.approx(GREEN, abs=4)
    assert second.pts - first.pts >= 4 * 3000


async def test_stop_ends_a_reader_of_what_is_hidden():
    track = BotVideoTrack()
    track.show(_picture())
    track.hide()
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    track.stop()
    with pytest.raises(MediaStreamError):
        await waiting


@pytest.mark.parametrize("encoder", [Vp8Encoder, H264Encoder])
@pytest.mark.parametrize("size", [(2, 2), (3, 3), (65, 49), (64, 49)])
async def test_a_picture_of_any_size_can_be_encoded(size, encoder):
    track = BotVideoTrack()
    track.show(_picture(size=size))
    frame = await _next(track)
    assert (frame.width, frame.height) == (size[0] // 2 * 2, size[1] // 2 * 2)
    payloads, _ = encoder().encode(frame, force_keyframe=True)
    assert payloads


async def test_the_size_may_change_in_mid_call():
    track = BotVideoTrack()
    track.show(_picture(size=(64, 48)))
    before = await _next(track)
    track.show(_picture(size=(128, 96)))
    after = await _next(track)
    assert [(frame.width, frame.height) for frame in (before, after)] == [(64, 48), (128, 96)]


async def test_no_picture_is_given_before_its_time_and_none_in_a_burst_after_a_stall():
    loop = asyncio.get_running_loop()
    track = BotVideoTrack()
    track.show(_picture())
    await _next(track)
    time.sleep(10 * FRAME)  # noqa: ASYNC251
    late = await _next(track)
    resumed = loop.time()
    for number in range(1, 4):
        frame = await _next(track)
        assert frame.pts == late.pts + 3000 * number
        assert loop.time() - resumed >= number * FRAME - 0.002
    assert late.pts >= 9 * 3000


@pytest.mark.parametrize("shown", [True, False], ids=["with a picture", "before the first picture"])
async def test_stop_ends_a_reader(shown):
    track = BotVideoTrack()
    if shown:
        track.show(_picture())
    waiting = asyncio.create_task(track.recv()) if not shown else None
    await asyncio.sleep(0)
    track.stop()
    with pytest.raises(MediaStreamError):
        await (waiting or _next(track))
