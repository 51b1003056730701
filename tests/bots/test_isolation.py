"""`--isolate`: a process for each conversation; what one bot does to its process is no other's concern."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from calls import AUDIO_ONLY, IMPATIENT, SOUND, Mailbox, dialed, until

from smallrtc_cli.audio.signals import tone
from smallrtc_cli.bots.child import ChildSetup
from smallrtc_cli.bots.isolation import IsolatedSessions
from smallrtc_cli.bots.loader import BotFailedToLoad, load
from smallrtc_cli.bots.process import ChildGone
from smallrtc_cli.bots.spec import find_bot
from smallrtc_cli.errors import BadRequest, SmallRTCError, Unavailable, UnknownPeer
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

FULL_BAND = TransportParams(audio_in_enabled=True, audio_in_sample_rate=48_000, audio_out_enabled=True)

BOT = """
import asyncio, gc, os, time
from smallrtc_cli import SmallWebRTCTransport, TransportParams
PARAMS = TransportParams(audio_in_enabled=True, audio_in_sample_rate=48000, audio_out_enabled=True)

async def bot(runner_args):
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, PARAMS)
    print("hello from", os.getpid(), runner_args.session_id)

    @transport.event_handler("on_app_message")
    async def on_app_message(transport, message, sender):
        match message.get("do"):
            case "say": await transport.send_message({"pid": os.getpid(), "args": list(runner_args.cli_args)})
            case "count": await transport.send_message({"spared": gc.get_freeze_count()})
            case "raise": fail.set_result(None)
            case "exit": os._exit(3)
            case "block": time.sleep(message["seconds"])
            case "stutter": stuttering.append(asyncio.create_task(stutter()))

    async def stutter():
        while True:
            time.sleep(0.3)
            await asyncio.sleep(0.2)

    stuttering, fail = [], asyncio.get_running_loop().create_future()
    fail.add_done_callback(lambda _: echoing.cancel())

    async def echo():
        async for frame in transport.input():
            await transport.output().write(frame)

    echoing = asyncio.ensure_future(echo())
    await asyncio.wait({echoing})
    for task in stuttering: task.cancel()
    if fail.done(): raise KeyError("voice")
"""


@pytest.fixture
def bot_file(tmp_path):
    (tmp_path / "bot.py").write_text(BOT)
    return tmp_path / "bot.py"


@contextlib.asynccontextmanager
async def isolated(bot: str | Path, argv=(), **options):
    """Isolated sessions of a bot, their events, and a check that no process is left."""
    events = []
    setup = ChildSetup(find_bot(str(bot), Path()), argv=argv, handler={"settings": IMPATIENT})
    sessions = IsolatedSessions(setup, observer=events.append, **options)
    pids = set()
    try:
        await sessions.start()
        yield sessions, events
    finally:
        pids.update(sessions.pids)
        await sessions.close()
    assert not [pid for pid in pids if is_running(pid)]
    assert sessions.pids == sessions.sessions == ()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def named(events, name):
    return [event for event in events if event.event == name]


async def ask(connection, message, transport=None):
    transport = transport or SmallWebRTCTransport(connection, SOUND)
    mailbox = Mailbox(transport)
    await transport.send_message(message)
    return await mailbox.next()


async def pauses(connection, seconds: float) -> list[float]:
    """Send a tone to an echo and give the pauses of more than 0.25 s in what comes back while it is sent."""
    transport = SmallWebRTCTransport(connection, FULL_BAND)
    heard = []

    async def listen():
        async for frame in transport.input():
            if np.abs(np.frombuffer(frame.audio, "<i2")).max() > 500:
                heard.append(  # noqa: PERF401 - as it comes
                    asyncio.get_running_loop().time()
                )

    listening = asyncio.create_task(listen())
    await transport.output().write(tone(600, seconds, rate=24_000).tobytes())
    await transport.output().drain()
    listening.cancel()
    assert len(heard) > 10
    return [after - before for before, after in pairwise(heard) if after - before > 0.25]


async def test_each_call_has_a_process_of_its_own_and_what_it_prints_is_told_with_its_session(bot_file):
    async with isolated(bot_file, argv=("--voice", "alloy")) as (sessions, events):
        async with dialed(sessions) as (_, first), dialed(sessions) as (_, second):
            said = [await ask(connection, {"do": "say"}) for connection in (first, second)]
            assert len({os.getpid(), *(each["pid"] for each in said)}) == 3
            assert {each["pid"] for each in said} <= set(sessions.pids)
            assert said[0]["args"] == ["--voice", "alloy"]
            assert len(sessions.sessions) == 2
            await until(lambda: len(named(events, "said")) == 2)
            lines = {event.detail["line"]: event.session for event in named(events, "said")}
            assert lines == {
                f"hello from {each['pid']} {session}": session
                for each, session in zip(said, sessions.sessions, strict=True)
            }
        await until(lambda: not sessions.sessions)
        for session in {event.session for event in named(events, "offered")}:
            mine = [event.event for event in events if event.session == session]
            mine = [name for name in mine if name not in {"said", "path"}]
            assert mine[:2] == ["offered", "connected"]
            assert set(mine[2:]) == {"closed", "bot-ended"}


async def test_sound_and_a_restart_go_through_and_the_old_id_is_forgotten():
    async with isolated("echo") as (sessions, events), dialed(sessions) as (dialer, connection):
        assert not await pauses(connection, 1.0)
        old = connection.pc_id
        dialer.restart()
        await until(lambda: connection.pc_id != old and named(events, "reconnected"))
        with pytest.raises(UnknownPeer):
            await sessions.candidates(SmallWebRTCPatchRequest(old, ()))
        await sessions.candidates(SmallWebRTCPatchRequest(connection.pc_id, ()))
        assert len(sessions.sessions) == 1


async def test_a_bot_that_blocks_disturbs_its_own_call_only(bot_file):
    async with isolated(bot_file) as (sessions, _):
        async with dialed(sessions) as (_, blocking), dialed(sessions) as (_, other):
            await SmallWebRTCTransport(blocking, SOUND).send_message({"do": "stutter"})
            undisturbed, stuttering = await asyncio.gather(pauses(other, 3.0), pauses(blocking, 3.0))
            assert not undisturbed
            assert len(stuttering) >= 3


async def test_no_collection_looks_at_what_was_loaded(bot_file):
    async with isolated(bot_file) as (sessions, _), dialed(sessions) as (_, connection):
        assert (await ask(connection, {"do": "count"}))["spared"] > 10_000


async def test_a_bot_that_raises_tells_its_caller_and_the_terminal(bot_file):
    async with isolated(bot_file) as (sessions, events), dialed(sessions) as (_, connection):
        error = await ask(connection, {"do": "raise"})
        assert (error["type"], error["data"]["error"], error["data"]["fatal"]) == ("error", "KeyError: 'voice'", True)
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_LEFT
        await until(lambda: not sessions.sessions)
        [failed] = named(events, "bot-failed")
        assert failed.detail["traceback"].startswith("Traceback")
        assert str(bot_file) in failed.detail["traceback"].splitlines()[1]


@pytest.mark.parametrize("death", ["exit code 3", "signal 9"])
async def test_a_process_that_dies_is_noticed_and_its_ids_are_forgotten(bot_file, death):
    async with isolated(bot_file) as (sessions, events):
        async with dialed(sessions, settings=IMPATIENT) as (_, connection):
            pc_id, said = connection.pc_id, await ask(connection, {"do": "say"})
            if death == "signal 9":
                os.kill(said["pid"], signal.SIGKILL)
            else:
                await SmallWebRTCTransport(connection).send_message({"do": "exit"})
            await until(lambda: not sessions.sessions)
            assert named(events, "bot-failed")[0].detail["error"] == f"the session's process has ended: {death}"
            assert named(events, "closed")[0].detail == {"reason": "bot-failed"}
            with pytest.raises(UnknownPeer):
                await sessions.candidates(SmallWebRTCPatchRequest(pc_id, ()))
        async with dialed(sessions) as (_, connection):
            assert (await ask(connection, {"do": "say"}))["pid"] != said["pid"]


async def test_closing_tells_the_clients_and_leaves_no_process(bot_file):
    """P4."""
    async with isolated(bot_file) as (sessions, _):
        async with dialed(sessions) as (_, first), dialed(sessions) as (_, second):
            await asyncio.gather(*(ask(connection, {"do": "say"}) for connection in (first, second)))
            pids = sessions.pids
            assert len(pids) >= 2
            await sessions.close()
            assert not [pid for pid in pids if is_running(pid)]
            for connection in (first, second):
                await asyncio.wait_for(connection.wait_closed(), 10)
                assert connection.close_reason is CloseReason.PEER_LEFT


async def test_closing_ends_a_bot_that_blocks(bot_file):
    async with isolated(bot_file) as (sessions, _), dialed(sessions) as (_, connection):
        await ask(connection, {"do": "say"})
        await SmallWebRTCTransport(connection).send_message({"do": "block", "seconds": 3600})
        pids = sessions.pids
        async with asyncio.timeout(5):
            await sessions.close()
        assert not [pid for pid in pids if is_running(pid)]


async def test_closing_does_not_wait_for_a_process_that_is_still_loading(tmp_path):
    (tmp_path / "bot.py").write_text("import time\ntime.sleep(3600)\nasync def bot(args): ...\n")
    sessions = IsolatedSessions(ChildSetup(find_bot("bot.py", tmp_path)))
    starting = asyncio.create_task(sessions.start())
    await until(lambda: sessions.pids)
    pids = sessions.pids
    async with asyncio.timeout(2):
        await sessions.close()
    assert not [pid for pid in pids if is_running(pid)]
    with pytest.raises(ChildGone, match="before its bot was loaded: signal 15"):
        await starting


async def test_an_offer_that_is_refused_leaves_its_process_to_the_next(bot_file):
    async with isolated(bot_file) as (sessions, events):
        [spare] = sessions.pids
        with pytest.raises(BadRequest):
            await sessions.offer(SmallWebRTCRequest("v=0", "offer"))
        assert sessions.pids == (spare,)
        async with dialed(sessions) as (_, connection):
            assert (await ask(connection, {"do": "say"}))["pid"] == spare
        assert len(named(events, "offered")) == 1


async def test_no_more_than_most_run_at_a_time(bot_file):
    async with isolated(bot_file, most=1) as (sessions, _):
        async with dialed(sessions) as (_, connection):
            with pytest.raises(SmallRTCError, match="no more") as caught:
                await sessions.offer(SmallWebRTCRequest("v=0", "offer"))
            assert isinstance(caught.value, Unavailable)
            await ask(connection, {"do": "say"})
        await until(lambda: not sessions.sessions)
        async with dialed(sessions):
            pass


async def test_as_many_as_may_run_can_begin_at_the_same_time(bot_file):
    async with isolated(bot_file, most=2) as (sessions, _), contextlib.AsyncExitStack() as calls:
        both = [calls.enter_async_context(dialed(sessions)) for _ in range(2)]
        await asyncio.gather(*both)
        assert len(sessions.sessions) == 2


async def test_rooms_are_entered_and_left_once_for_each_conversation(bot_file):
    class Rooms:
        def __init__(self):
            self.entries = []

        def entered(self, session_id):
            self.entries.append(("in", session_id))

        def left(self, session_id):
            self.entries.append(("out", session_id))

    rooms = Rooms()
    async with isolated("echo", rooms=rooms) as (sessions, _):
        async with dialed(sessions):
            [session] = sessions.sessions
        with pytest.raises(BadRequest):
            await sessions.offer(SmallWebRTCRequest("v=0", "offer"))
        await until(lambda: len(rooms.entries) == 2)
    assert rooms.entries == [("in", session), ("out", session)]


async def test_a_bot_that_does_not_load_is_told_before_anything_is_served(tmp_path):
    (tmp_path / "bot.py").write_text("import nothing_of_that_name\nasync def bot(args): ...\n")
    with pytest.raises(BotFailedToLoad, match="ModuleNotFoundError") as caught:
        async with isolated(tmp_path / "bot.py"):
            pass
    assert 'bot.py", line 1, in <module>' in caught.value.traceback


async def test_new_sessions_get_the_new_code_and_live_ones_keep_theirs(bot_file):
    async with isolated(bot_file) as (sessions, _), dialed(sessions) as (_, old):
        first = await ask(old, {"do": "say"})
        bot_file.write_text(BOT.replace('"pid": os.getpid()', '"pid": os.getpid(), "version": 2'))
        await sessions.renew(load(find_bot(str(bot_file), Path())).spec)
        bot_file.write_text("a broken edit (")
        for _ in range(3):  # more than are ready: later ones are started with the good version too
            async with dialed(sessions) as (_, new):
                assert (await ask(new, {"do": "say"}))["version"] == 2
        assert (await ask(old, {"do": "say"})) == first


PARENT = """
import asyncio, sys
from pathlib import Path
from smallrtc_cli.bots.child import ChildSetup
from smallrtc_cli.bots.isolation import IsolatedSessions
from smallrtc_cli.bots.spec import find_bot

async def main():
    sessions = IsolatedSessions(ChildSetup(find_bot("echo", Path())))
    await sessions.start()
    print(*sessions.pids, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_children_do_not_outlive_a_parent_that_is_killed():
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    pids = [int(pid) for pid in (await asyncio.wait_for(parent.stdout.readline(), 20)).split()]
    assert pids
    assert all(is_running(pid) for pid in pids)
    parent.kill()
    await parent.communicate()
    await until(lambda: not any(is_running(pid) for pid in pids))


async def test_a_call_that_is_given_up_leaves_no_conversation(bot_file):
    async with isolated(bot_file) as (sessions, _):
        offering = asyncio.ensure_future(dialed(sessions, replace(AUDIO_ONLY, connect_timeout=5)).__aenter__())
        await asyncio.sleep(0.003)
        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)
        await until(lambda: not sessions.sessions)
