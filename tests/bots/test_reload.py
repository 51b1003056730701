"""`--reload`: which files matter, by value; what an edit does, with real edits."""

import asyncio
import sys
from pathlib import Path, PurePosixPath

import pytest
from calls import Mailbox, answering, dialed, until

from smallrtc_cli.bots.loader import load
from smallrtc_cli.bots.reload import Broken, Reloaded, Reloader, ReloadOptions, matters
from smallrtc_cli.bots.spec import find_bot
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

DIR = Path("/bots")


@pytest.fixture(autouse=True)
def _imports_as_they_were():
    path, modules = [*sys.path], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "of_this_test" in name or name.startswith("_smallrtc_bot_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("file", "does"),
    [
        ("bot.py", True),
        ("package/part.py", True),
        (".env", True),
        ("sub/.env", True),
        ("notes.txt", False),
        ("prompt.md", False),
        (".bot.py.swp", False),
        (".#bot.py", False),
        ("__pycache__/bot.cpython-311.pyc", False),
        ("__pycache__/bot.py", False),
        (".git/hook.py", False),
        (".venv/lib/python3.11/site-packages/x.py", False),
        ("venv/x.py", False),
        ("node_modules/x/y.py", False),
    ],
)
def test_python_files_and_env_matter_but_for_those_that_nobody_edits(file, does):
    assert matters(PurePosixPath("/bots") / file, ReloadOptions((DIR,))) is does


@pytest.mark.parametrize(
    ("file", "include", "exclude", "does"),
    [
        ("prompt.md", ("*.md",), (), True),
        ("prompts/a.md", ("prompts/*",), (), True),
        ("other/a.md", ("prompts/*",), (), False),
        (".hidden/a.py", (".hidden/*.py",), (), True),
        ("bot.py", (), ("bot.py",), False),
        ("tests/test_bot.py", (), ("tests",), False),
        ("tests/deep/test_bot.py", (), ("tests/",), False),
        ("sub/tests/test_bot.py", (), ("tests",), False),
        ("generated/a.py", ("*.py",), ("generated/*",), False),
        ("a.py", (), ("generated/*",), True),
    ],
)
def test_globs_add_and_take_away_and_taking_away_wins(file, include, exclude, does):
    assert matters(PurePosixPath("/bots") / file, ReloadOptions((DIR,), include, exclude)) is does


def test_what_lies_elsewhere_does_not_matter_and_where_folders_nest_the_inner_one_counts():
    assert not matters(PurePosixPath("/other/bot.py"), ReloadOptions((DIR,)))
    assert matters(PurePosixPath("/bots/.worktrees/a/bot.py"), ReloadOptions((DIR, DIR / ".worktrees" / "a")))


BOT = """
from smallrtc_cli import SmallWebRTCTransport
from helper_of_this_test import WORD, later

async def bot(runner_args):
    transport = SmallWebRTCTransport(runner_args.webrtc_connection)

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        await transport.send_message({"version": VERSION, "word": WORD, "later": later()})

    await transport.wait_closed()

VERSION = 1
"""
HELPER = "WORD = 'a'\ndef later(): return WORD\n"


class Edited:
    """A folder with a bot, a reloader that watches it, and what the reloader told."""

    def __init__(self, folder: Path):
        (folder / "bot.py").write_text(BOT)
        (folder / "helper_of_this_test.py").write_text(HELPER)
        self.folder, self.events = folder, []
        self.spec = find_bot("bot.py", folder)
        self.reloader = Reloader(
            load(self.spec), lambda: load(self.spec), ReloadOptions((folder,), delay=0.05), self.events.append
        )

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        path.write_text(path.read_text().replace(old, new))

    async def told(self, count: int):
        await until(lambda: len(self.events) >= count)
        assert len(self.events) == count
        return self.events[-1]


@pytest.fixture
async def edited(tmp_path):
    edited = Edited(tmp_path)
    running = asyncio.create_task(edited.reloader.run())
    await until(lambda: edited.reloader.watching)
    yield edited
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.parametrize(("line", "kind", "version"), [("VERSION = 2", Reloaded, 2), ("VERSION =", Broken, 1)])
async def test_an_edit_between_loading_and_watching_is_seen(tmp_path, line, kind, version):
    early = Edited(tmp_path)
    early.edit("bot.py", "VERSION = 1", line)
    running = asyncio.create_task(early.reloader.run())
    event = await early.told(1)
    running.cancel()
    await asyncio.wait({running})
    assert (type(event), event.changed) == (kind, ("bot.py",))
    found = early.reloader().module.VERSION
    assert found == version


async def say(connection):
    transport = SmallWebRTCTransport(connection)
    mailbox = Mailbox(transport)
    await transport.send_message({})
    return await mailbox.next()


async def test_new_sessions_get_the_new_code_and_live_calls_keep_theirs(edited):
    async def present(arguments):
        await edited.reloader()(arguments)

    async with answering(present) as server, dialed(server.supervisor) as (_, old):
        first = await say(old)
        assert first == {"version": 1, "word": "a", "later": "a"}
        edited.edit("bot.py", "VERSION = 1", "VERSION = 2")
        edited.edit("helper_of_this_test.py", "'a'", "'b'")
        event = await edited.told(1)
        assert isinstance(event, Reloaded)
        assert event.changed == ("bot.py", "helper_of_this_test.py")
        async with dialed(server.supervisor) as (_, new):
            assert await say(new) == {"version": 2, "word": "b", "later": "b"}
        assert await say(old) == first


async def test_a_broken_edit_keeps_the_last_good_version_and_shows_its_traceback(edited):
    good = edited.reloader()
    edited.edit("helper_of_this_test.py", "WORD = 'a'", "WORD = 1/0")
    event = await edited.told(1)
    assert isinstance(event, Broken)
    assert event is edited.reloader.error
    assert edited.reloader() is good
    assert "helper_of_this_test.py" in event.traceback
    assert event.traceback.endswith("ZeroDivisionError: division by zero")
    assert sys.modules["helper_of_this_test"].WORD == "a"

    edited.edit("helper_of_this_test.py", "1/0", "'c'")
    assert isinstance(await edited.told(2), Reloaded)
    assert edited.reloader.error is None
    assert edited.reloader() is not good
    assert sys.modules["helper_of_this_test"].WORD == "c"


async def test_an_edit_that_takes_the_function_away_is_broken_without_a_traceback(edited):
    edited.edit("bot.py", "async def bot(", "async def other(")
    event = await edited.told(1)
    assert isinstance(event, Broken)
    assert event.traceback == ""
    assert "no function `bot`" in str(event.error)


async def test_a_module_that_asks_for_the_loop_while_it_is_loaded_gets_the_one_that_runs(edited):
    edited.edit("bot.py", "VERSION = 1", "import asyncio\nLOOP = asyncio.get_event_loop()")
    await edited.told(1)
    assert edited.reloader().module.LOOP is asyncio.get_running_loop()


async def test_what_does_not_matter_is_not_loaded(edited):
    (edited.folder / "notes.txt").write_text("x")
    (edited.folder / "__pycache__").mkdir(exist_ok=True)
    (edited.folder / "__pycache__" / "x.py").write_text("x")
    edited.edit("bot.py", "VERSION = 1", "VERSION = 3")
    event = await edited.told(1)
    assert event.changed == ("bot.py",)
