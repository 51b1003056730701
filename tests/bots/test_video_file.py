"""Pictures of a file: their size, their times, and what is no video."""

import itertools
from contextlib import closing
from fractions import Fraction

import av
import numpy as np
import pytest

from smallrtc_cli.audio import files
from smallrtc_cli.bots.video_file import fitting, pictures
from smallrtc_cli.errors import UnreadableVideo


@pytest.fixture
def film(tmp_path):
    """Make a film of grey pictures, each lighter than the one before, at some times (in seconds)."""

    def make(times=(0.0, 0.04, 0.08, 0.12), size=(64, 48), name="film.mkv"):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for n, at in enumerate(times):
                pixels = np.full((size[1], size[0], 3), 40 + 30 * n, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make


def first(path, count):
    with closing(pictures(path)) as found:
        return list(itertools.islice(found, count))


def grey(image):
    return round(float(image.to_ndarray(format="rgb24").mean()))


def test_pictures_come_in_order_with_their_times(film):
    found = first(film((0.0, 0.04, 0.3, 1.0)), 4)
    assert [picture.at for picture in found] == pytest.approx([0.0, 0.04, 0.3, 1.0])
    assert [grey(picture.image) for picture in found] == pytest.approx([40, 70, 100, 130], abs=6)
    assert all(picture.image.format.name == "yuv420p" for picture in found)


def test_a_film_begins_again_and_its_time_goes_on(film):
    found = first(film(), 9)
    times = [picture.at for picture in found]
    assert times == pytest.approx([n * 0.04 for n in range(9)])
    assert grey(found[4].image) == grey(found[8].image) == pytest.approx(40, abs=6)


def test_a_single_picture_is_one_film_a_second(tmp_path):
    path = tmp_path / "photo.png"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 65, 49, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((49, 65, 3), 90, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    found = first(path, 3)
    assert [picture.at for picture in found] == pytest.approx([0.0, 1.0, 2.0])
    assert (found[0].image.width, found[0].image.height) == (64, 48)
    assert grey(found[2].image) == pytest.approx(90, abs=3)


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ((640, 480), (640, 480)),
        ((1280, 720), (1280, 720)),
        ((1920, 1080), (1280, 720)),
        ((3840, 2160), (1280, 720)),
        ((1080, 1920), (404, 720)),
        ((65, 49), (64, 48)),
        ((1, 1), (2, 2)),
        ((4000, 3), (1280, 2)),
    ],
)
def test_a_size_keeps_its_shape_within_bounds_and_is_even(size, sent):
    assert fitting(*size) == sent


def test_a_large_film_is_made_smaller(film):
    (picture,) = first(film((0.0, 0.04), (1920, 1080)), 1)
    assert (picture.image.width, picture.image.height) == (1280, 720)


def _sound_only(path):
    files.write_wav(path, np.ones((4800, 1), np.int16), 48_000)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a directory, not a video"),
        (lambda path: path.write_text("no video " * 500), "cannot be read as a video: invalid data"),
        (_sound_only, "has no pictures in it"),
    ],
)
def test_what_is_no_video_is_said(tmp_path, make, sentence):
    path = tmp_path / "file.mkv"
    make(path)
    with pytest.raises(UnreadableVideo, match=sentence):
        first(path, 1)
