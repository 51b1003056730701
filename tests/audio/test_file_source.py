"""Files as a source: what comes out, and what is found out before."""

import asyncio
import threading

import av
import numpy as np
import pytest

from smallrtc_cli.audio import files
from smallrtc_cli.audio.ends import Source
from smallrtc_cli.audio.file_source import FileSource
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.errors import UnreadableAudio


async def everything(source):
    return np.frombuffer(b"".join([piece async for piece in source]), "<i2")


@pytest.fixture
def talk(tmp_path):
    """2.21 s of a number in each sample, mono at 48 kHz."""
    path = tmp_path / "talk.wav"
    files.write_wav(path, (np.arange(106_080) % 30_000).astype(np.int16)[:, None], 48_000)
    return path


async def test_every_sample_comes_once_in_pieces_of_20_ms(talk):
    source: Source = FileSource(talk)
    assert (source.name, source.live, source.latency) == ("talk.wav", False, 0.0)
    pieces = [piece async for piece in source]
    assert {len(piece) for piece in pieces[:-1]} == {1920}
    assert (np.frombuffer(b"".join(pieces), "<i2") == np.arange(106_080) % 30_000).all()


async def test_stereo_of_any_rate_becomes_mono_at_48_khz(tmp_path):
    path = tmp_path / "tone.wav"
    files.write_wav(path, tone(500.0, 1.5, rate=16_000, channels=2), 16_000)
    sound = (await everything(FileSource(path))).astype(float)
    assert len(sound) == pytest.approx(72_000, abs=100)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert spectrum.argmax() * 48_000 / len(sound) == pytest.approx(500, abs=1)


async def test_a_loop_begins_again_without_a_gap(talk):
    sound = []
    pieces = aiter(FileSource(talk, loop=True))
    while sum(map(len, sound)) < 3 * 2 * 106_080:
        sound.append(await anext(pieces))
    await pieces.aclose()
    samples = np.frombuffer(b"".join(sound), "<i2")[: 3 * 106_080]
    assert (samples == np.tile(np.arange(106_080) % 30_000, 3)).all()


async def test_a_loop_over_a_file_that_is_emptied_meanwhile_ends(talk):
    source = FileSource(talk, loop=True)
    files.write_wav(talk, np.zeros((0, 1), np.int16), 48_000)
    async with asyncio.timeout(20):
        assert len(await everything(source)) == 0


async def test_a_source_can_be_played_again(talk):
    source = FileSource(talk)
    assert len(await everything(source)) == len(await everything(source)) == 106_080


async def test_a_long_file_is_decoded_piecewise_and_beside_the_loop(talk, monkeypatch):
    decoded, threads, real = [], set(), files.pieces

    def watched(*args):
        for piece in real(*args):
            decoded.append(len(piece))
            threads.add(threading.current_thread())
            yield piece

    source = FileSource(talk, loop=True)
    monkeypatch.setattr(files, "pieces", watched)
    pieces = aiter(source)
    await anext(pieces)
    await pieces.aclose()
    assert sum(decoded) <= 3 * 48_000
    assert threading.main_thread() not in threads


async def test_a_player_that_is_cancelled_leaves_nothing_open(talk):
    async def play():
        async for _ in FileSource(talk, loop=True):
            await asyncio.sleep(0)

    playing = asyncio.create_task(play())
    await asyncio.sleep(0.05)
    playing.cancel()
    await asyncio.wait({playing}, timeout=10)
    assert playing.cancelled()


def _empty(path):
    files.write_wav(path, np.zeros((0, 1), np.int16), 48_000)


def _text(path):
    path.write_text("no sound at all " * 100)


def _pictures_only(path):
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a directory"),
        (_empty, "has no sound in it"),
        (_text, "cannot be read as sound: invalid data"),
        (_pictures_only, "has no audio stream"),
    ],
)
def test_what_has_no_sound_is_said_before_the_call(tmp_path, make, sentence):
    path = tmp_path / "file.mkv"
    make(path)
    with pytest.raises(UnreadableAudio, match=sentence):
        FileSource(path)
