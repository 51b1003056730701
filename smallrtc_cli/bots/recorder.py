"""`--record DIR`: what was said in a session, as a stereo WAV (left the client, right the bot), and its messages.

The files grow during the call, so that a server that is killed leaves what was heard until then.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import time
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import av
import numpy as np

from smallrtc_cli.audio.pcm import Converter, to_bytes
from smallrtc_cli.audio.stereo import StereoTimeline
from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.supervisor import BotSession
from smallrtc_cli.errors import CannotRun

logger = logging.getLogger(__name__)

RATE = 48_000
CLIENT, BOT = 0, 1

_DELAY = 1.0
"Seconds that the file is behind: a side that comes late must still find its place."


def require_folder(folder: Path) -> None:
    """Make the folder, or raise `CannotRun`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotRun(
            f"recordings cannot be kept in `{folder}`: {reason}", hint="give `--record` a directory that is yours"
        ) from error


def _free_name(folder: Path, name: str) -> str:
    """Two calls may begin in one second, and in one session."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in names if not (folder / f"{each}.wav").exists())


def record_new(folder: Path | None, sessions: Iterable[BotSession], event: SessionEvent) -> None:
    """Where recordings are wanted, begin one for the conversation that an `offered` event is about."""
    if folder is None or event.event != "offered":
        return
    for session in sessions:
        if session.connection.pc_id == event.detail["pc_id"]:  # several may have the id that `/start` gave
            try:
                Recorder(folder, session)
            except OSError as error:
                logger.warning("session %s is not recorded: %s", session.id, error)


class Recorder:
    """Records one session until it is closed."""

    def __init__(self, folder: Path, session: BotSession) -> None:
        name = _free_name(folder, f"{time.strftime('%Y%m%d-%H%M%S')}-{session.id[:8]}")
        self._sound: IO[bytes] = (folder / f"{name}.wav").open("wb")
        # Not by its path: where that fails, `wave` complains once more.
        self._wave = wave.open(self._sound, "wb")  # noqa: SIM115 - open as long as the session
        self._wave.setparams((2, 2, RATE, 0, "NONE", "not compressed"))
        self._messages: IO[str] = (folder / f"{name}.jsonl").open(
            "w",
            encoding="utf-8",
            errors="backslashreplace",  # half a surrogate pair is an escape in JSON, too
        )
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timeline = StereoTimeline(RATE)
        self._converters = (Converter(RATE, 1), Converter(RATE, 1))
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(_DELAY, self._write)
        connection = session.connection
        connection.listen_in(
            heard=lambda frame: self._add(CLIENT, frame),
            said=lambda frame: self._add(BOT, frame),
            sent=lambda message: self._note("bot", message),
        )
        connection.add_event_handler("app-message", lambda _, message: self._note("client", message))
        connection.add_event_handler("closed", lambda _: self.close())

    def _add(self, side: int, frame: av.AudioFrame) -> None:
        if self._timer is None:
            return
        pts = frame.pts
        at = self._loop.time() - self._began
        for piece in self._converters[side].convert_frame(frame):
            self._timeline.add(side, np.frombuffer(to_bytes(piece), "<i2"), at)
        frame.pts = pts

    def _note(self, sender: str, message: Any) -> None:
        if self._timer is None:
            return
        line = {"at": round(self._loop.time() - self._began, 3), "from": sender, "message": message}
        try:
            self._messages.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            self._give_up(error)

    def _write(self) -> None:
        self._timer = self._loop.call_later(_DELAY, self._write)
        self._keep(_DELAY)

    def _keep(self, behind: float) -> None:
        """Write what was heard until some seconds ago; a disk that is full ends the recording, not the call."""
        try:
            self._wave.writeframes(self._timeline.take(self._loop.time() - self._began - behind).tobytes())
            self._messages.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        logger.warning("a recording ends before its call: %s", error)
        self._end()

    def close(self) -> None:
        """Write what is left; again is nothing."""
        if self._timer is not None:
            self._keep(0)
            self._end()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for converter in self._converters:
            converter.reset()
        for file in (self._wave, self._sound, self._messages):
            with contextlib.suppress(OSError):  # told already
                file.close()
