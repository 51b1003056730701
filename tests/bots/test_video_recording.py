"""`--record-video`: what is in the file, in every container, and what ends it."""

import contextlib
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from calls import until

from smallrtc_cli.bots import video_recording as module
from smallrtc_cli.bots.video_recording import VideoRecording, require_place
from smallrtc_cli.errors import CannotRun, UsageError


def frame(stamp, grey=100, size=(64, 48)):
    """A picture as a decoder gives it."""
    made = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), grey, np.uint8), format="rgb24")
    made = made.reformat(format="yuv420p")
    made.pts, made.time_base = round(stamp * 90_000), Fraction(1, 90_000)
    return made


def kept(path):
    """Time in seconds, size and lightness of each picture."""
    with av.open(str(path)) as container:
        return [
            (float(each.time), (each.width, each.height), float(each.to_ndarray(format="rgb24").mean()))
            for each in container.decode(video=0)
        ]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "A.MP4"])
async def test_all_pictures_are_kept_with_their_times(tmp_path, name):
    recording = VideoRecording(tmp_path / name)
    times = [0.0, 0.04, 0.12, 0.5, 1.0, 1.033, 2.5]
    for n, at in enumerate(times):
        recording.add(frame(700 + at, 40 + 20 * n), 30 + at)
    await recording.close()
    found = kept(tmp_path / name)
    assert [at for at, _, _ in found] == pytest.approx(times, abs=0.002)
    assert [grey for _, _, grey in found] == pytest.approx([40 + 20 * n for n in range(7)], abs=8)
    assert (recording.written, recording.dropped) == (7, 0)


async def test_the_first_picture_fixes_the_size_and_later_ones_are_scaled(tmp_path):
    recording = VideoRecording(tmp_path / "a.mkv")
    sizes = [(64, 48), (128, 96), (32, 24), (65, 47)]
    for n, size in enumerate(sizes):
        recording.add(frame(n / 10, size=size), n / 10)
    await recording.close()
    assert [size for _, size, _ in kept(tmp_path / "a.mkv")] == [(64, 48)] * 4


async def test_an_odd_size_is_made_even(tmp_path):
    recording = VideoRecording(tmp_path / "a.mp4")
    recording.add(frame(0, size=(65, 49)), 0)
    await recording.close()
    assert [size for _, size, _ in kept(tmp_path / "a.mp4")] == [(64, 48)]


async def test_without_libx264_it_is_mpeg4(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    recording = VideoRecording(tmp_path / "a.mp4")
    for n in range(5):
        recording.add(frame(n / 10, 40 + 30 * n), n / 10)
    await recording.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert [at for at, _, _ in kept(tmp_path / "a.mp4")] == pytest.approx([n / 10 for n in range(5)], abs=0.002)


async def test_a_call_without_pictures_leaves_no_file(tmp_path):
    recording = VideoRecording(tmp_path / "a.mp4")
    await recording.close()
    await recording.close()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
async def test_what_is_there_can_be_played_before_the_end(tmp_path, name):
    recording = VideoRecording(tmp_path / name)
    random = np.random.RandomState(1)
    for n in range(150):
        noise = av.VideoFrame.from_ndarray(random.randint(0, 255, (96, 128, 3), np.uint8), format="rgb24")
        noise.pts, noise.time_base = n * 3000, Fraction(1, 90_000)
        await until(lambda: recording._waiting.qsize() < 20)
        recording.add(noise, n / 30)
    await until(lambda: recording.written == 150, 30)
    early = (tmp_path / name).read_bytes()
    await recording.close()
    (tmp_path / f"early-{name}").write_bytes(early)
    shown = 0
    with av.open(str(tmp_path / f"early-{name}")) as container, contextlib.suppress(av.error.InvalidDataError):
        for _ in container.decode(video=0):  # the last picture may be torn
            shown += 1
    assert shown >= 50


async def test_an_encoder_that_is_too_slow_costs_pictures_and_no_time(tmp_path, monkeypatch):
    go, add = threading.Event(), module._Encoder.add

    def slow(encoder, *picture):
        go.wait(20)
        add(encoder, *picture)

    monkeypatch.setattr(module._Encoder, "add", slow)
    recording = VideoRecording(tmp_path / "a.mkv")
    for n in range(100):
        recording.add(frame(n / 30), n / 30)
    assert 60 <= recording.dropped <= 70
    go.set()
    await recording.close()
    assert recording.written + recording.dropped == 100
    assert len(kept(tmp_path / "a.mkv")) == recording.written


async def test_a_place_that_has_gone_is_an_error_of_a_later_picture(tmp_path):
    recording = VideoRecording(tmp_path / "gone" / "a.mkv")
    errors = []

    def is_broken():
        try:
            recording.add(frame(len(errors) / 10), 0)
        except module.BROKEN as error:
            errors.append(error)
        return errors

    await until(is_broken)
    await recording.close()
    assert "No such file" in str(errors[0])


async def test_the_thread_ends_with_the_recording(tmp_path):
    recording = VideoRecording(tmp_path / "a.mkv")
    recording.add(frame(0), 0)
    await recording.close()
    assert not [each for each in threading.enumerate() if each.name == "encodes a.mkv"]


def test_a_file_of_no_kind_is_a_wrong_use(tmp_path):
    with pytest.raises(UsageError, match=r"`.*a\.avi` is of no kind that keeps pictures") as caught:
        require_place(tmp_path / "a.avi")
    assert "`.mp4`, `.mkv`, `.webm`" in caught.value.hint


@pytest.mark.parametrize(("name", "reason"), [("dir.mp4", "it is a directory"), ("gone/a.mp4", "is no place for it")])
def test_a_place_that_is_none_is_said_before_the_call(tmp_path, name, reason):
    (tmp_path / "dir.mp4").mkdir()
    with pytest.raises(CannotRun, match=reason):
        require_place(tmp_path / name)


def test_a_good_place_is_left_as_it_is(tmp_path):
    require_place(tmp_path / "a.mp4")
    assert not [*tmp_path.iterdir()]
