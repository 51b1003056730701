"""Which bot is meant by what was typed: `bot.py:function`, `package.module:function`, `echo`, `tone`, or nothing.

Nothing is imported or executed here; what names no bot is refused with a cure.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from smallrtc_cli.errors import UsageError

FUNCTION = "bot"
BUILT_IN = ("echo", "tone")


class NoSuchBot(UsageError):
    """What was typed names no bot, or nothing that can be one."""

    hint = (
        "`smallrtc serve echo` runs a built-in bot; yours is `bot.py`, `bot.py:function` or `package.module:function`"
    )


@dataclass(frozen=True, slots=True)
class BotSpec:
    """Which bot is meant: a built-in one, a file or a module."""

    target: str
    "The name of a built-in bot, the path of a file, or a module's dotted name."

    function: str
    folder: Path
    "What goes on `sys.path`, and where `.env` is looked for: the file's folder; for a module, the current one."

    source: str = ""
    "Why this one, where nothing was typed: `bot.py here`, for example."

    text: bytes | None = field(default=None, compare=False, repr=False)
    "The version of a file to run, where that may not be what is on the disk by now."

    @property
    def is_built_in(self) -> bool:
        return self.target in BUILT_IN

    @property
    def is_file(self) -> bool:
        return self.target.endswith(".py")

    @property
    def module(self) -> str:
        """For people: `bot.py`, `package.module`."""
        return Path(self.target).name if self.is_file else self.target

    @property
    def name(self) -> str:
        """For people: `bot.py:bot`, `package.module:bot`, `echo`."""
        if self.is_built_in:
            return self.target
        return f"{self.module}:{self.function}"


def find_bot(given: str | None, here: Path) -> BotSpec:
    """The bot that is meant by what was typed, or by nothing, in the folder `here`; raises `NoSuchBot`."""
    if given is not None:
        return parse(given, here)
    if (here / "bot.py").is_file():
        return _sourced(parse("bot.py", here), "bot.py here")
    configured = _configured(here / "pyproject.toml")
    if configured is not None:
        return _sourced(parse(configured, here), "[tool.smallrtc] in pyproject.toml")
    return _sourced(parse("echo", here), "there is no bot.py here, and none is named in pyproject.toml")


def parse(given: str, here: Path) -> BotSpec:
    """Read `bot.py`, `bot.py:function`, `package.module:function` or a built-in name; raises `NoSuchBot`."""
    if given in BUILT_IN:
        return BotSpec(given, given, here)
    target, function = _split(given)
    if target.endswith(".py") or "/" in target or "\\" in target:
        return _file(target, function, here)
    if not all(part.isidentifier() for part in target.split(".")):
        raise NoSuchBot(f"`{given}` is neither a Python file nor a module")
    if target == given and "." not in target:
        raise NoSuchBot(f"there is no built-in bot `{given}`", hint=_hint_for_word(given, here))
    return BotSpec(target, function, here)


def _split(given: str) -> tuple[str, str]:
    """The last colon parts the function off, unless it is the one of a Windows drive."""
    target, colon, function = given.rpartition(":")
    if not colon or "/" in function or "\\" in function or function.endswith(".py"):
        return given, FUNCTION
    if not function.isidentifier():
        raise NoSuchBot(f"`{function}` is not the name of a function" if function else f"`{given}` ends in a colon")
    return target, function


def _file(target: str, function: str, here: Path) -> BotSpec:
    path = (here / target).expanduser().resolve()
    if path.is_dir():
        hint = f"say `{target.rstrip('/')}/bot.py`" if (path / "bot.py").is_file() else "name the Python file in it"
        raise NoSuchBot(f"`{target}` is a folder", hint=hint)
    if not path.is_file():
        raise NoSuchBot(f"there is no file `{target}`")
    if path.suffix != ".py":
        raise NoSuchBot(f"`{target}` is not a Python file")
    return BotSpec(str(path), function, path.parent)


def _hint_for_word(given: str, here: Path) -> str:
    if (here / f"{given}.py").is_file():
        return f"for the file, say `{given}.py`"
    return "built-in bots are " + " and ".join(f"`{name}`" for name in BUILT_IN)


def _configured(pyproject: Path) -> str | None:
    """`[tool.smallrtc] bot` of a pyproject.toml; None where there is none."""
    if not pyproject.is_file():
        return None
    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NoSuchBot(
            f"`pyproject.toml` cannot be read: {error}", hint="name the bot: `smallrtc serve bot.py`"
        ) from None
    bot = document.get("tool", {}).get("smallrtc", {}).get("bot")
    if bot is not None and not isinstance(bot, str):
        raise NoSuchBot("`bot` in `[tool.smallrtc]` is not a string", hint='write `bot = "path/bot.py:function"`')
    return bot


def _sourced(spec: BotSpec, source: str) -> BotSpec:
    return BotSpec(spec.target, spec.function, spec.folder, source)
