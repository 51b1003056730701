"""`--record`: what is in the files, and what becomes of a recording when something goes wrong."""

import asyncio
import contextlib
import json
import logging
import wave
from types import SimpleNamespace

import numpy as np
import pytest
from calls import until

from smallrtc_cli.audio.pcm import to_av_frame
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.bots import stereo_recording as module
from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.recorder import Recorder, record_new, require_folder
from smallrtc_cli.bots.supervisor import BotSession
from smallrtc_cli.errors import CannotRun

RATE = 48_000


class FakeConnection:
    """Takes the taps and handlers; a test plays the call."""

    def __init__(self):
        self.handlers = {}

    def listen_in(self, heard, said, sent):
        self.heard, self.said, self.sent = heard, said, sent

    def add_event_handler(self, name, handler):
        self.handlers[name] = handler

    def tell(self, name, *args):
        self.handlers[name](self, *args)


@pytest.fixture
def record(tmp_path):
    """Begin a recording; all are closed at the end."""
    made = []

    def begin(session="a3f9c0de-1"):
        connection = FakeConnection()
        made.append(Recorder(tmp_path, BotSession(session, connection, 0.0)))
        return connection, made[-1]

    yield begin
    for each in made:
        each.close()


def the(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def stereo(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (RATE, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def frames(level, *, rate=RATE, channels=2, count=10):
    sound = tone(1000.0, count * 0.02, rate=rate, channels=channels, level=level)
    step = rate // 50
    return [to_av_frame(sound[n * step : (n + 1) * step].tobytes(), rate, channels) for n in range(count)]


async def test_the_client_is_on_the_left_and_the_bot_on_the_right_in_any_format(record, tmp_path):
    connection, _ = record()
    for heard, said in zip(frames(-20.0), frames(-26.0, rate=16_000, channels=1), strict=True):
        connection.heard(heard)
        connection.said(said)
    await asyncio.sleep(0.25)
    connection.tell("closed")
    sound = stereo(the(tmp_path, "*-a3f9c0de.wav")).astype(float)
    assert len(sound) > 0.2 * RATE
    client, bot = sound[: RATE // 5].T
    assert np.sqrt(np.mean(client**2)) == pytest.approx(32_768 * 10 ** (-20 / 20), rel=0.1)
    assert np.sqrt(np.mean(bot**2)) == pytest.approx(32_768 * 10 ** (-26 / 20), rel=0.1)


async def test_the_frames_that_pass_are_left_as_they_are(record):
    connection, _ = record()
    frame = frames(-20.0, count=1)[0]
    frame.pts = 4711
    before = frame.to_ndarray().copy()
    connection.heard(frame)
    assert frame.pts == 4711
    assert (frame.to_ndarray() == before).all()


async def test_messages_of_both_sides_are_kept_in_order_with_their_time(record, tmp_path):
    connection, _ = record()
    connection.tell("app-message", {"n": 1, "text": "Grüße\n"})
    connection.sent({"n": 2})
    connection.tell("app-message", {"broken": "\ud83d"})
    connection.tell("closed")
    text = the(tmp_path, "*.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["from"], line["message"]) for line in lines] == [
        ("client", {"n": 1, "text": "Grüße\n"}),
        ("bot", {"n": 2}),
        ("client", {"broken": "\ud83d"}),
    ]
    assert all(0 <= line["at"] < 10 for line in lines)
    assert "Grüße" in text


async def test_the_files_can_be_read_while_the_call_goes_on(record, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BEHIND", 0.05)
    connection, _ = record()
    for frame in frames(-20.0):
        connection.heard(frame)
    connection.sent({"n": 1})
    path = the(tmp_path, "*.wav")

    def is_there():
        with contextlib.suppress(EOFError):
            return len(stereo(path)) > RATE / 5

    await until(is_there)
    assert json.loads(the(tmp_path, "*.jsonl").read_text())["message"] == {"n": 1}


async def test_two_recordings_of_one_session_in_one_second_have_names_of_their_own(record, tmp_path):
    one, _ = record()
    other, _ = record()
    one.sent({"n": 1})
    other.sent({"n": 2})
    for each in (one, other):
        each.tell("closed")
    assert len([*tmp_path.glob("*.wav")]) == 2
    found = [json.loads(path.read_text())["message"]["n"] for path in tmp_path.glob("*.jsonl")]
    assert sorted(found) == [1, 2]


async def test_after_the_end_nothing_more_is_written(record, tmp_path):
    connection, recorder = record()
    connection.tell("closed")
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(files) == 2
    connection.heard(frames(-20.0)[0])
    connection.sent({"late": True})
    recorder.close()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


class Full:
    """A disk without room, in the place of a file."""

    def write(self, sound):
        raise OSError(28, "No space left on device")

    def close(self):
        pass


@pytest.mark.parametrize("file", ["sound", "messages"])
async def test_a_full_disk_ends_the_recording_with_one_warning_and_not_the_call(record, monkeypatch, caplog, file):
    monkeypatch.setattr(module, "_BEHIND", 0.01)
    monkeypatch.setattr(logging.getLogger("smallrtc_cli"), "propagate", True)
    connection, recorder = record()
    holder, name = (recorder._sound, "_out") if file == "sound" else (recorder, "_messages")
    getattr(holder, name).close()
    setattr(holder, name, Full())
    connection.sent({"n": 1})
    await until(lambda: caplog.records)
    connection.sent({"n": 2})
    connection.heard(frames(-20.0)[0])
    await asyncio.sleep(0.03)
    connection.tell("closed")
    (warning,) = caplog.records
    assert warning.getMessage() == "a recording ends before its call: [Errno 28] No space left on device"


async def test_a_folder_that_has_gone_costs_the_recording_and_not_the_call(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("smallrtc_cli"), "propagate", True)
    session = BotSession("a3f9c0de-1", SimpleNamespace(pc_id="x"), 0.0)
    record_new(tmp_path / "gone", [session], SessionEvent("offered", session.id, {"pc_id": "x"}))
    (warning,) = caplog.records
    assert warning.getMessage().startswith("session a3f9c0de-1 is not recorded: ")


def test_only_a_new_session_begins_a_recording(tmp_path):
    session = BotSession("a3f9c0de-1", SimpleNamespace(pc_id="x"), 0.0)
    record_new(None, [session], SessionEvent("offered", session.id, {"pc_id": "x"}))
    record_new(tmp_path, [session], SessionEvent("connected", session.id))
    record_new(tmp_path, [session], SessionEvent("offered", session.id, {"pc_id": "another"}))
    assert [*tmp_path.iterdir()] == []


def test_a_folder_is_made_with_those_above_it(tmp_path):
    require_folder(tmp_path / "a" / "b")
    require_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotRun, match=r"recordings cannot be kept in `.*file`: file exists") as caught:
        require_folder(tmp_path / "file")
    assert "--record" in caught.value.hint
