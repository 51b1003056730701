"""From a `BotSpec` to a bot that can be called: loaded once and checked, before anything listens.

A file is executed under a module name of its own, so that its `if __name__ == "__main__"` does not run and a later
version is a fresh module. No other file is looked into. What the user's code raises is told with the user's own
traceback.
"""

import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from smallrtc_cli.bots import pipecat
from smallrtc_cli.bots.arguments import CliArguments, SmallWebRTCRunnerArguments
from smallrtc_cli.bots.spec import BotSpec as BotSpec
from smallrtc_cli.bots.spec import NoSuchBot as NoSuchBot
from smallrtc_cli.bots.spec import find_bot as find_bot
from smallrtc_cli.bots.tracebacks import user_traceback
from smallrtc_cli.errors import UsageError

_numbers = itertools.count(1)
T = TypeVar("T")


class BotFailedToLoad(UsageError):
    """The bot's own code raised while it was loaded; `traceback` is the user's, from the user's file on."""

    def __init__(self, sentence: str, traceback: str = "", *, hint: str | None = None) -> None:
        super().__init__(sentence, hint=hint)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class LoadedBot:
    """A bot to call: `await bot(runner_args)`. It holds its module, so that a later version leaves it alone."""

    spec: BotSpec
    function: Callable[[Any], Awaitable[Any]]
    module: ModuleType
    uses_pipecat: bool = False
    cli_args: CliArguments | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    async def __call__(self, arguments: SmallWebRTCRunnerArguments) -> Any:
        """Run the bot, with Pipecat's own arguments where the bot is Pipecat's."""
        if self.cli_args is not None and arguments.cli_args is None:
            arguments.cli_args = self.cli_args
        return await self.function(pipecat.runner_arguments(arguments) if self.uses_pipecat else arguments)


# Loading


def load(spec: BotSpec, cli_args: CliArguments | None = None) -> LoadedBot:
    """Execute the bot's module, once, and check its function; raises `NoSuchBot` or `BotFailedToLoad`."""
    if spec.is_built_in:
        module = importlib.import_module(f"smallrtc_cli.bots.{spec.target}")
        return LoadedBot(spec, getattr(module, spec.function), module, cli_args=cli_args)
    _put_on_path(spec.folder)
    if spec.is_file and spec.text is None:
        spec = replace(spec, text=_told(spec, lambda file: Path(file.target).read_bytes()))
    module = _told(spec, _execute_file if spec.is_file else _import_module)
    function = _function(spec, module)
    uses_pipecat = pipecat.is_loaded() or pipecat.is_named_in(Path(module.__file__ or ""))
    if uses_pipecat:
        _told(spec, lambda _: pipecat.prepare())
    return LoadedBot(spec, function, module, uses_pipecat, cli_args)


def _put_on_path(folder: Path) -> None:
    """As `python bot.py` does; it stays there, for a bot that imports when it is called."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _told(spec: BotSpec, work: Callable[[BotSpec], T]) -> T:
    """Do what runs the user's code; what that raises becomes `BotFailedToLoad`."""
    try:
        return work(spec)
    except NoSuchBot:
        raise
    except (Exception, SystemExit) as error:
        raise BotFailedToLoad(f"`{spec.module}` failed to load: {_summary(error)}", user_traceback(error)) from error


def _summary(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ended the process ({error.code})" if error.code is not None else "it ended the process"
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def _execute_file(spec: BotSpec) -> ModuleType:
    """The file as a fresh module under a private name; known to `sys.modules`, as dataclasses and pickle need it."""
    name = f"_smallrtc_bot_{next(_numbers)}_{Path(spec.target).stem}"
    found = importlib.util.spec_from_file_location(name, spec.target)
    if found is None or found.loader is None:
        raise NoSuchBot(f"`{spec.target}` is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        code = compile(spec.text or b"", spec.target, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - to run the user's file is what this is for
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import_module(spec: BotSpec) -> ModuleType:
    try:
        return importlib.import_module(spec.target)
    except ModuleNotFoundError as error:
        if error.name is not None and (spec.target == error.name or spec.target.startswith(f"{error.name}.")):
            raise NoSuchBot(f"there is no module `{error.name}`", hint=f"looked for from {spec.folder}") from error
        raise


# Checking


def _function(spec: BotSpec, module: ModuleType) -> Callable[[Any], Awaitable[Any]]:
    function = getattr(module, spec.function, None)
    if function is None:
        raise NoSuchBot(f"`{spec.module}` has no function `{spec.function}`", hint=_other_functions(spec, module))
    if not callable(function):
        raise NoSuchBot(f"`{spec.function}` in `{spec.module}` is not a function")
    if not is_async(function):
        hint = f"write `async def {spec.function}(runner_args)`"
        raise NoSuchBot(f"`{spec.function}` in `{spec.module}` is not a coroutine function", hint=hint)
    _check_arguments(spec, function)
    return function  # type: ignore[no-any-return]


def is_async(function: Callable[..., Any]) -> bool:
    """Whether to call it gives an awaitable, as far as can be told without calling it.

    A coroutine function, or an object whose `__call__` is one, or what wraps one; or a plain function that is
    annotated to return an awaitable.
    """
    plain = inspect.unwrap(function)
    while hasattr(plain, "func"):  # functools.partial
        plain = plain.func
    if inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(getattr(plain, "__call__", None)):  # noqa: B004
        return True
    returned = getattr(plain, "__annotations__", {}).get("return")
    base = getattr(returned, "__origin__", returned)
    if isinstance(base, str):
        return base.split("[")[0].rpartition(".")[2] in ("Awaitable", "Coroutine")
    return base in (Awaitable, Coroutine)


def _check_arguments(spec: BotSpec, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(object())
    except TypeError:
        hint = f"write `async def {spec.function}(runner_args)`"
        raise NoSuchBot(
            f"`{spec.function}{signature}` in `{spec.module}` cannot be called with one argument", hint=hint
        ) from None


def _other_functions(spec: BotSpec, module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    if not names:
        return f"write `async def {spec.function}(runner_args)` in it"
    return "it has " + ", ".join(f"`{spec.module}:{name}`" for name in names)
