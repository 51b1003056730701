"""`--record DIR`: what was said in a session, as a stereo WAV (left the client, right the bot), and its messages.

The files grow during the call, so that a server that is killed leaves what was heard until then.
"""

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from smallrtc_cli.audio.wave_file import WaveFile
from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.stereo_recording import LEFT, RIGHT, StereoRecording
from smallrtc_cli.bots.supervisor import BotSession
from smallrtc_cli.errors import CannotRun

logger = logging.getLogger(__name__)


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
        sound = WaveFile(folder / f"{name}.wav")
        self._messages: IO[str] = (folder / f"{name}.jsonl").open(
            "w",
            encoding="utf-8",
            errors="backslashreplace",  # half a surrogate pair is an escape in JSON, too
            buffering=1,
        )
        self._sound = StereoRecording(sound, self._give_up)
        connection = session.connection
        connection.listen_in(
            heard=lambda frame: self._sound.add(LEFT, frame),
            said=lambda frame: self._sound.add(RIGHT, frame),
            sent=lambda message: self._note("bot", message),
        )
        connection.add_event_handler("app-message", lambda _, message: self._note("client", message))
        connection.add_event_handler("closed", lambda _: self.close())

    def _note(self, sender: str, message: Any) -> None:
        if not self._sound.is_open:
            return
        line = {"at": round(self._sound.seconds, 3), "from": sender, "message": message}
        try:
            self._messages.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """A disk that is full ends the recording, not the call."""
        logger.warning("a recording ends before its call: %s", error)
        self._sound.stop()
        self.close()

    def close(self) -> None:
        """Write what is left; again is nothing."""
        self._sound.close()
        with contextlib.suppress(OSError):  # told already
            self._messages.close()
