"""Pictures in a real call: a film goes out, is switched off and on, and the bot's are kept."""

import asyncio
import contextlib
from fractions import Fraction

import av
import numpy as np
import pytest
from calls import answering, dialed, idle_bot, until

from smallrtc_cli.bots import colour_bars, video_file
from smallrtc_cli.bots.person import person_params
from smallrtc_cli.bots.pictures import TEST, Camera, keep_pictures, require_video
from smallrtc_cli.errors import UnreadableVideo
from smallrtc_cli.rtc.dialer import DialOptions
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams
from smallrtc_cli.rtc.video import OutputImageRawFrame

VIDEO = DialOptions(connect_timeout=10)
LONG = 30.0
"Seconds that a test waits for pictures: a keyframe may be lost on a busy machine."

RED, GREEN = (200, 0, 0), (0, 200, 0)


def film(path, colours, size=(64, 48)):
    """A second of each colour, five pictures a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(5 * len(colours)):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), colours[n // 5], np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = n, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def colour(frame):
    return tuple(int(value) for value in frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0))


def is_red(mean):
    return mean[0] > mean[1] + 60


class Viewer:
    """A bot that keeps the mean colour of what it sees, and what it is told of the camera."""

    def __init__(self):
        self.seen, self.sizes, self.states = [], set(), []

    async def __call__(self, runner_args):
        connection = runner_args.webrtc_connection
        connection.add_event_handler("track-status", lambda _, index, enabled: self.states.append((index, enabled)))
        async for frame in SmallWebRTCTransport(connection, TransportParams(video_in_enabled=True)).images():
            self.seen.append(colour(frame))
            self.sizes.add((frame.width, frame.height))


@contextlib.asynccontextmanager
async def calling(bot):
    async with answering(bot) as server, dialed(server.supervisor, VIDEO) as (dialer, connection):
        yield dialer, SmallWebRTCTransport(connection, person_params(video_in=True, video_out=True))


@contextlib.asynccontextmanager
async def running(work):
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=20)
        if not task.cancelled():
            task.result()


async def at_rest(viewer):
    """What was under way has come, and nothing more does; how much that was."""
    async with asyncio.timeout(LONG):
        seen = -1
        while seen != len(viewer.seen):
            seen = len(viewer.seen)
            await asyncio.sleep(1)
        return seen


async def test_a_film_is_seen_again_and_again(tmp_path):
    viewer = Viewer()
    path = film(tmp_path / "a.mkv", [RED, GREEN])
    async with calling(viewer) as (_, transport), running(Camera(transport, path).run()):
        await until(lambda: any(map(is_red, viewer.seen)), LONG)
        seen = len(viewer.seen)
        await until(lambda: not all(map(is_red, viewer.seen[seen:])), LONG)
        seen = len(viewer.seen)
        await until(lambda: any(map(is_red, viewer.seen[seen:])), LONG)
    assert viewer.sizes == {(64, 48)}


async def test_the_test_card_is_seen():
    viewer = Viewer()
    async with calling(viewer) as (_, transport), running(Camera(transport, TEST).run()):
        await until(lambda: len(viewer.seen) > 2, LONG)
    assert viewer.sizes == {(colour_bars.WIDTH, colour_bars.HEIGHT)}


async def test_a_camera_that_is_switched_off_shows_nothing_and_tells_the_server():
    viewer = Viewer()
    async with calling(viewer) as (_, transport):
        camera = Camera(transport, TEST)
        async with running(camera.run()):
            await until(lambda: viewer.seen, LONG)
            camera.switch(False)
            await until(lambda: (1, False) in viewer.states)
            seen = await at_rest(viewer)
            camera.switch(True)
            await until(lambda: len(viewer.seen) > seen + 2, LONG)
            assert viewer.states[-1] == (1, True)


async def test_the_pictures_go_on_after_a_restart():
    viewer = Viewer()
    async with calling(viewer) as (dialer, transport), running(Camera(transport, TEST).run()):
        await until(lambda: viewer.seen, LONG)
        back = asyncio.Event()
        dialer.connection.add_event_handler("connected", lambda _: back.set())
        dialer.restart()
        async with asyncio.timeout(20):
            await back.wait()
        seen = len(viewer.seen)
        await until(lambda: len(viewer.seen) > seen + 2, LONG)


async def test_a_film_that_breaks_off_is_told_and_the_call_goes_on(tmp_path, monkeypatch):
    real = video_file.pictures

    def broken(path):
        yield next(real(path))
        raise UnreadableVideo("`a.mkv` cannot be read as a video: input/output error")

    monkeypatch.setattr(video_file, "pictures", broken)
    troubles = []
    async with calling(idle_bot) as (_, transport):
        path = film(tmp_path / "a.mkv", [RED])
        async with asyncio.timeout(20):
            await Camera(transport, path, troubles.append).run()
        assert transport.connection.close_reason is None
    assert troubles == ["no more pictures are sent: `a.mkv` cannot be read as a video: input/output error"]


async def test_a_camera_ends_with_the_conversation():
    async with calling(idle_bot) as (_, transport):
        running = asyncio.create_task(Camera(transport, TEST).run())
        await transport.start()
        await transport.disconnect()
        await asyncio.wait_for(running, 20)


def test_a_film_is_looked_into_before_the_call(tmp_path):
    require_video(TEST)
    require_video(film(tmp_path / "a.mkv", [RED]))
    with pytest.raises(UnreadableVideo, match="does not exist"):
        require_video(tmp_path / "b.mkv")


async def shows_red(runner_args):
    """A bot with a red picture."""
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, TransportParams(video_out_enabled=True))
    await transport.send_image(OutputImageRawFrame(bytes(RED) * (64 * 48), (64, 48)))
    await transport.wait_closed()


@pytest.mark.parametrize("end", ["over", "cancelled"])
async def test_the_bots_pictures_are_kept_until_the_end(tmp_path, end):
    path, troubles = tmp_path / "bot.mkv", []
    async with calling(shows_red) as (_, transport):
        keeping = asyncio.create_task(keep_pictures(transport, path, troubles.append))
        await until(lambda: path.exists() and path.stat().st_size > 0, LONG)
        await asyncio.sleep(0.3)
        if end == "over":
            await transport.disconnect()
        else:
            keeping.cancel()
        await asyncio.wait({keeping}, timeout=20)
        assert keeping.done()
    with av.open(str(path)) as container:
        frames = [*container.decode(video=0)]
    assert all(is_red(colour(frame)) for frame in frames)
    assert (frames[0].width, frames[0].height) == (64, 48)
    assert troubles == []


async def test_a_bot_without_pictures_leaves_no_file_and_that_is_told(tmp_path):
    async def shows_nothing(runner_args):
        await runner_args.webrtc_connection.wait_closed()

    troubles = []
    async with calling(shows_nothing) as (_, transport):
        keeping = asyncio.create_task(keep_pictures(transport, tmp_path / "bot.mkv", troubles.append))
        await transport.connection.wait_for(transport.connection.is_connected)
        await transport.disconnect()
        await asyncio.wait_for(keeping, 20)
    assert troubles == [f"the bot showed no picture: there is no `{tmp_path / 'bot.mkv'}`"]
    assert [*tmp_path.iterdir()] == []


async def test_pictures_that_cannot_be_kept_are_told_and_the_call_goes_on(tmp_path):
    troubles = []
    async with calling(shows_red) as (_, transport):
        async with asyncio.timeout(LONG):
            await keep_pictures(transport, tmp_path / "gone" / "bot.mkv", troubles.append)
        assert transport.connection.close_reason is None
    (sentence,) = troubles
    assert sentence.endswith("end here: no such file or directory")
