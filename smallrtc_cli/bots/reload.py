"""New sessions get the new code: watches files, loads on a change, keeps the last version that works.

Live calls keep the version that they began with, and the port is not concerned at all. A broken edit changes
nothing but `error`, until the next edit.
"""

import asyncio
import contextlib
import fnmatch
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import watchfiles

from smallrtc_cli.bots.loader import BotFailedToLoad, LoadedBot
from smallrtc_cli.bots.modules import fresh_modules
from smallrtc_cli.errors import SmallRTCError

logger = logging.getLogger(__name__)

INCLUDE = ("*.py", ".env")
EXCLUDE = (".*", "__pycache__", "site-packages", "node_modules", "venv")
"Folders that hold code which nobody edits, and what editors leave behind. `.env` is named in `INCLUDE`, and counts."

DELAY = 0.25
"Seconds of quiet after a change before it is loaded: editors write in steps, and formatters write again."


@dataclass(frozen=True, slots=True)
class ReloadOptions:
    """What is watched: `--reload-dir`, `--reload-include`, `--reload-exclude`, `--reload-delay`."""

    dirs: tuple[Path, ...]
    include: tuple[str, ...] = ()
    "Globs that count besides `*.py` and `.env`: of a name, or of a path from a watched folder on."

    exclude: tuple[str, ...] = ()
    "Globs of names, folders or paths that do not count, even if included."

    delay: float = DELAY


def matters(path: PurePath, options: ReloadOptions) -> bool:
    """Whether a change of that file is one of the bot's code."""
    inner = _inner(path, options.dirs)
    if inner is None or not _matches(inner, (*INCLUDE, *options.include)):
        return False
    if any(_excluded(part, inner, options.exclude) for part in (inner, *inner.parents) if part.name):
        return False
    return _matches(inner, options.include) or not _usually_left_out(inner)


def _inner(path: PurePath, dirs: Sequence[Path]) -> PurePath | None:
    """The path from the innermost watched folder on; None outside."""
    inner = [path.relative_to(folder) for folder in dirs if path.is_relative_to(folder)]
    return min(inner, key=lambda each: len(each.parts), default=None)


def _matches(inner: PurePath, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(inner.name, each) or fnmatch.fnmatch(inner.as_posix(), each) for each in patterns)


def _excluded(part: PurePath, inner: PurePath, patterns: Sequence[str]) -> bool:
    return _matches(part, patterns) or any(
        fnmatch.fnmatch(inner.as_posix(), f"{each.rstrip('/')}/*") for each in patterns
    )


def _usually_left_out(inner: PurePath) -> bool:
    folders = inner.parts[:-1]
    hidden = inner.name.startswith(".") and inner.name not in INCLUDE
    return hidden or any(fnmatch.fnmatch(folder, each) for folder in folders for each in EXCLUDE)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A new version is there: `changed` are the files, from the watched folder on."""

    bot: LoadedBot
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The edit does not load; the version before stays. `error` has the sentence and the user's traceback."""

    error: SmallRTCError
    changed: tuple[str, ...]

    @property
    def traceback(self) -> str:
        """From the user's file on; empty where there is none, as for a function that is missing."""
        return self.error.traceback if isinstance(self.error, BotFailedToLoad) else ""


Observer = Callable[[Reloaded | Broken], object]


class Reloader:
    """Gives the present bot when called, and follows its files while `run` runs."""

    def __init__(
        self,
        bot: LoadedBot,
        load: Callable[[], LoadedBot],
        options: ReloadOptions,
        observer: Observer = lambda _: None,
    ) -> None:
        """`bot` is the version that runs; `load` loads the one on the disk, and raises `SmallRTCError`."""
        self.bot = bot
        self.error: Broken | None = None
        "The last edit, if it was a broken one."
        self.watching = False
        self._load, self._observer = load, observer
        self._options = replace(options, dirs=tuple(folder.resolve() for folder in options.dirs))

    def __call__(self) -> LoadedBot:
        """The version for a new session."""
        return self.bot

    async def run(self) -> None:
        """Watch until cancelled; once `watching` is true no change is missed."""
        edited: asyncio.Event = asyncio.Event()
        changed: set[str] = set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(changed, edited))
            while True:
                await edited.wait()
                await self._quiet(edited)
                names = tuple(sorted(self._shown(path) for path in changed))
                changed.clear()
                await self.reload(names)

    async def _watch(self, changed: set[str], edited: asyncio.Event) -> None:
        watching = watchfiles.awatch(*self._options.dirs, watch_filter=self._matters, ignore_permission_denied=True)
        asyncio.get_running_loop().call_soon(self._begun, changed, edited)  # behind the first step of the next line
        async for changes in watching:
            changed.update(path for _, path in changes)
            edited.set()

    def _begun(self, changed: set[str], edited: asyncio.Event) -> None:
        """From here on edits are told; of the time since the bot was loaded, its own file tells."""
        self.watching = True
        path, text = Path(self.bot.spec.target).resolve(), self.bot.spec.text
        if text is not None and matters(path, self._options) and _read(path) != text:
            changed.add(str(path))
            edited.set()

    def _matters(self, change: watchfiles.Change, path: str) -> bool:  # noqa: ARG002 - watchfiles' signature
        return matters(PurePath(path), self._options)

    async def _quiet(self, edited: asyncio.Event) -> None:
        """Return when nothing has been edited for a while."""
        while edited.is_set():
            edited.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.delay):
                    await edited.wait()

    async def reload(self, changed: tuple[str, ...] = ()) -> None:
        """Load what is on the disk now, and tell the observer; the present version stays if that fails."""
        event = await asyncio.to_thread(self._try, changed, asyncio.get_running_loop())
        if isinstance(event, Reloaded):
            self.bot, self.error = event.bot, None
        else:
            self.error = event
        self._observer(event)

    def _try(self, changed: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> Reloaded | Broken:
        """In a thread, so that live calls go on meanwhile; a module that asks for the loop gets the real one."""
        asyncio.set_event_loop(loop)
        try:
            with fresh_modules(self._options.dirs):
                return Reloaded(self._load(), changed)
        except SmallRTCError as error:
            return Broken(error, changed)
        finally:
            asyncio.set_event_loop(None)

    def _shown(self, path: str) -> str:
        inner = _inner(PurePath(path), self._options.dirs)
        return path if inner is None else inner.as_posix()


def _read(path: Path) -> bytes | None:
    """None for a file that is gone, or just being replaced: to load it says why."""
    try:
        return path.read_bytes()
    except OSError:
        return None
