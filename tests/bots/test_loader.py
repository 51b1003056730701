"""From what was typed to a bot: what is found, what is executed, and what is said when it cannot be."""

import asyncio
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from smallrtc_cli.bots.arguments import CliArguments, SmallWebRTCRunnerArguments
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.bots.loader import BotFailedToLoad, load
from smallrtc_cli.bots.spec import NoSuchBot, find_bot
from smallrtc_cli.bots.tone import tone
from smallrtc_cli.errors import ExitCode

GOOD = "async def bot(runner_args): return runner_args\n"


@pytest.fixture(autouse=True)
def _imports_as_they_were():
    path, modules = [*sys.path], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def write(source: str, name: str = "bot.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    return write


def files_in(traceback: str) -> list[str]:
    """Its lines that name a place; pytest's own import hook is none of ours to leave out."""
    lines = [line.strip() for line in traceback.splitlines() if line.startswith("  File")]
    return [line for line in lines if "_pytest" not in line]


# Finding


def test_bot_py_here_is_the_first_choice_and_the_echo_bot_the_last(tmp_path, write):
    nothing = find_bot(None, tmp_path)
    assert nothing.name == "echo"
    assert "no bot.py" in nothing.source
    write('[tool.smallrtc]\nbot = "app/main.py:talk"\n', "pyproject.toml")
    write("async def talk(args): ...", "app/main.py")
    configured = find_bot(None, tmp_path)
    assert (configured.name, configured.source) == ("main.py:talk", "[tool.smallrtc] in pyproject.toml")
    assert configured.folder == tmp_path / "app"
    write(GOOD)
    assert (find_bot(None, tmp_path).name, find_bot(None, tmp_path).source) == ("bot.py:bot", "bot.py here")


def test_a_pyproject_without_our_table_names_no_bot(tmp_path, write):
    write('[project]\nname = "x"\n', "pyproject.toml")
    assert find_bot(None, tmp_path).name == "echo"


@pytest.mark.parametrize(
    ("text", "says"), [("[tool.smallrtc]\nbot = 3\n", "not a string"), ("[tool", "cannot be read")]
)
def test_a_pyproject_that_cannot_be_meant_is_refused(tmp_path, write, text, says):
    write(text, "pyproject.toml")
    with pytest.raises(NoSuchBot, match=says):
        find_bot(None, tmp_path)


@pytest.mark.parametrize(
    ("given", "target", "function"),
    [
        ("bot.py", "bot.py", "bot"),
        ("bot.py:talk", "bot.py", "talk"),
        ("./bot.py", "bot.py", "bot"),
        ("sub/other.py:talk", "sub/other.py", "talk"),
        ("package.module:talk", "package.module", "talk"),
        ("package.module", "package.module", "bot"),
        ("module:talk", "module", "talk"),
        ("echo", "echo", "echo"),
        ("tone", "tone", "tone"),
    ],
)
def test_what_was_typed_is_read_as_file_module_or_built_in(tmp_path, write, given, target, function):
    write(GOOD)
    write(GOOD, "sub/other.py")
    spec = find_bot(given, tmp_path)
    expected = str(tmp_path / target) if target.endswith(".py") else target
    assert (spec.target, spec.function) == (expected, function)


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        ("nothing.py", "there is no file `nothing.py`", "smallrtc serve echo"),
        ("sub", "no built-in bot `sub`", "`echo` and `tone`"),
        ("./sub", "`./sub` is a folder", "`./sub/bot.py`"),
        ("bot", "no built-in bot `bot`", "say `bot.py`"),
        ("bot.py:", "ends in a colon", ""),
        ("bot.py:1x", "`1x` is not the name of a function", ""),
        ("./notes.txt", "not a Python file", ""),
        ("what is this", "neither a Python file nor a module", ""),
        ("", "neither a Python file nor a module", ""),
    ],
)
def test_what_names_no_bot_is_refused_with_a_cure(tmp_path, write, given, says, hint):
    write(GOOD)
    write(GOOD, "sub/bot.py")
    write("", "notes.txt")
    with pytest.raises(NoSuchBot) as caught:
        find_bot(given, tmp_path)
    assert says in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code is ExitCode.USAGE


# Loading


def test_the_built_in_bots_load(tmp_path):
    assert load(find_bot("echo", tmp_path)).function is echo
    assert load(find_bot("tone", tmp_path)).function is tone


def test_the_file_is_executed_once_and_not_as_the_main_program(write, tmp_path):
    path = write("""
        import builtins
        builtins.executed = getattr(builtins, "executed", 0) + 1
        if __name__ == "__main__":
            raise SystemExit("this must not run")
        async def bot(runner_args): ...
    """)
    import builtins

    try:
        loaded = load(find_bot(str(path), tmp_path))
        assert builtins.executed == 1
    finally:
        del builtins.executed
    assert loaded.module.__name__ != "__main__"
    assert loaded.module.__file__ == str(path)
    assert loaded.name == "bot.py:bot"
    assert not loaded.uses_pipecat or "pipecat" in sys.modules


def test_two_loads_are_two_modules_and_the_first_goes_on_as_it_was(write, tmp_path):
    path = write("VERSION = 1\nasync def bot(runner_args): return VERSION\n")
    first = load(find_bot(str(path), tmp_path))
    path.write_text("VERSION = 2\nasync def bot(runner_args): return VERSION\n")
    second = load(find_bot(str(path), tmp_path))
    assert [asyncio.run(each.function(None)) for each in (first, second)] == [1, 2]


def test_no_other_file_is_executed(write, tmp_path):
    """P37."""
    write("raise RuntimeError('not me')", "aaa.py")
    write("raise RuntimeError('not me')", "sub/bot.py")
    load(find_bot(str(write(GOOD)), tmp_path))


def test_a_bot_imports_from_its_own_folder_at_once_and_later(write, tmp_path):
    write("WORD = 'hello'", "words_of_this_test.py")
    write("WORD = 'later'", "late_of_this_test.py")
    path = write("""
        from dataclasses import dataclass
        import words_of_this_test
        @dataclass
        class Said:
            what: str
        async def bot(runner_args):
            import late_of_this_test
            return [Said(words_of_this_test.WORD).what, late_of_this_test.WORD]
    """)
    loaded = load(find_bot(str(path), tmp_path))
    assert asyncio.run(loaded.function(None)) == ["hello", "later"]


def test_a_module_is_loaded_by_its_name_with_relative_imports(write, tmp_path, monkeypatch):
    write("", "package_of_this_test/__init__.py")
    write("WORD = 'hello'", "package_of_this_test/words.py")
    write("from .words import WORD\nasync def talk(args): return WORD", "package_of_this_test/module.py")
    loaded = load(find_bot("package_of_this_test.module:talk", tmp_path))
    assert asyncio.run(loaded.function(None)) == "hello"
    assert loaded.name == "package_of_this_test.module:talk"


def test_what_the_bot_is_called_with_has_the_command_lines_arguments(write, tmp_path):
    arguments = CliArguments(["--voice", "alloy"])
    loaded = load(find_bot(str(write(GOOD)), tmp_path), arguments)
    ours = SmallWebRTCRunnerArguments(SimpleNamespace(), {"a": 1}, "s1")
    got = asyncio.run(loaded(ours))
    assert (got.cli_args, got.body, got.session_id) == (arguments, {"a": 1}, "s1")
    assert got.webrtc_connection is ours.webrtc_connection


# Checking

ACCEPTED = {
    "a coroutine function": GOOD,
    "one with defaults": "async def bot(args, voice='x', *more): ...",
    "a wrapped one": """
        import functools
        def traced(f):
            @functools.wraps(f)
            def wrapper(*args): return f(*args)
            return wrapper
        @traced
        async def bot(args): ...
    """,
    "a partial": "import functools\nasync def run(voice, args): ...\nbot = functools.partial(run, 'x')",
    "an object": "class Bot:\n    async def __call__(self, args): ...\nbot = Bot()",
    "a method": "class Bot:\n    async def run(self, args): ...\nbot = Bot().run",
    "annotated": "from collections.abc import Awaitable\ndef bot(args) -> Awaitable[None]: ...",
    "annotated in words": "def bot(args) -> 'typing.Coroutine[None, None, None]': ...",
}


@pytest.mark.parametrize("source", ACCEPTED.values(), ids=ACCEPTED)
def test_all_that_gives_an_awaitable_is_a_bot(write, tmp_path, source):
    load(find_bot(str(write(source)), tmp_path))


REFUSED = {
    "no function": ("x = 1", "`bot.py` has no function `bot`", "write `async def bot(runner_args)`"),
    "another name": ("async def main(args): ...", "`bot.py` has no function `bot`", "`bot.py:main`"),
    "not async": ("def bot(args): ...", "not a coroutine function", "async def bot(runner_args)"),
    "a generator": ("async def bot(args):\n    yield 1", "not a coroutine function", ""),
    "not a function": ("bot = 3", "`bot` in `bot.py` is not a function", ""),
    "no argument": ("async def bot(): ...", "`bot()` in `bot.py` cannot be called with one argument", ""),
    "two arguments": ("async def bot(a, b): ...", "`bot(a, b)` in `bot.py` cannot be called", ""),
    "keywords only": ("async def bot(*, a): ...", "cannot be called with one argument", ""),
}


@pytest.mark.parametrize(("source", "says", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_called_as_a_bot_is_refused_with_a_cure(write, tmp_path, source, says, hint):
    with pytest.raises(NoSuchBot) as caught:
        load(find_bot(str(write(source)), tmp_path))
    assert says in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_a_module_that_is_not_there_is_a_sentence_and_one_that_it_lacks_a_traceback(write, tmp_path):
    with pytest.raises(NoSuchBot, match="there is no module `nowhere_at_all`"):
        load(find_bot("nowhere_at_all.module:bot", tmp_path))
    write("import nothing_of_that_name", "module_of_this_test.py")
    with pytest.raises(BotFailedToLoad, match="nothing_of_that_name") as caught:
        load(find_bot("module_of_this_test:bot", tmp_path))
    assert files_in(caught.value.traceback) == [f'File "{tmp_path / "module_of_this_test.py"}", line 1, in <module>']


# Tracebacks


def test_a_failure_carries_the_users_own_traceback_from_the_users_file_on(write, tmp_path):
    write("def deep():\n    return {}['voice']", "deep_of_this_test.py")
    path = write("import deep_of_this_test\n\ndeep_of_this_test.deep()\n")
    with pytest.raises(BotFailedToLoad, match=r"`bot\.py` failed to load: KeyError: 'voice'") as caught:
        load(find_bot(str(path), tmp_path))
    lines = caught.value.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert files_in(caught.value.traceback) == [
        f'File "{path}", line 3, in <module>',
        f'File "{tmp_path / "deep_of_this_test.py"}", line 2, in deep',
    ]
    assert lines[-1] == "KeyError: 'voice'"
    assert caught.value.exit_code is ExitCode.USAGE


def test_an_import_that_fails_in_a_file_of_the_bots_shows_no_machinery(write, tmp_path):
    write("import nothing_of_that_name", "helper_of_this_test.py")
    path = write("import helper_of_this_test")
    with pytest.raises(BotFailedToLoad) as caught:
        load(find_bot(str(path), tmp_path))
    assert "importlib" not in caught.value.traceback
    assert len(files_in(caught.value.traceback)) == 2
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_syntax_error_shows_the_line_and_nothing_of_ours(write, tmp_path):
    path = write("async def bot(args)\n    pass\n")
    with pytest.raises(BotFailedToLoad, match="SyntaxError") as caught:
        load(find_bot(str(path), tmp_path))
    assert f'File "{path}", line 1' in caught.value.traceback
    assert "async def bot(args)" in caught.value.traceback
    assert "loader.py" not in caught.value.traceback


def test_a_chain_of_errors_is_told_whole(write, tmp_path):
    path = write("""
        try:
            {}["a"]
        except KeyError as error:
            raise RuntimeError("no model") from error
    """)
    with pytest.raises(BotFailedToLoad) as caught:
        load(find_bot(str(path), tmp_path))
    assert "direct cause" in caught.value.traceback
    assert "loader.py" not in caught.value.traceback


def test_a_bot_that_exits_while_it_loads_does_not_end_the_server(write, tmp_path):
    with pytest.raises(BotFailedToLoad, match=r"it ended the process \(no key\)"):
        load(find_bot(str(write("import sys\nsys.exit('no key')")), tmp_path))


def test_a_file_that_failed_leaves_no_module_behind(write, tmp_path):
    before = set(sys.modules)
    with pytest.raises(BotFailedToLoad):
        load(find_bot(str(write("1/0")), tmp_path))
    assert set(sys.modules) == before
