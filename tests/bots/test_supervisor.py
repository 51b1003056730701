"""Who runs the bots: what becomes of a session when its bot ends, fails, is cancelled, or will not end."""

import asyncio
import logging

import pytest
from calls import AUDIO_ONLY, Mailbox, answering, dialed, idle_bot, until

from smallrtc_cli.bots import supervisor as module
from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.supervisor import Supervisor, session_of_task
from smallrtc_cli.errors import ServerClosing, Unavailable
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

OFFER = SmallWebRTCRequest("v=0", "offer")


class Rooms:
    """Who is in, as the HTTP door's sessions count it."""

    def __init__(self):
        self.inside = []

    def entered(self, session_id):
        self.inside.append(session_id)

    def left(self, session_id):
        self.inside.remove(session_id)


@pytest.fixture
async def running():
    """Makes supervisors, of a bot and what else they take, that are closed at the end; events are in `events`."""
    made = []

    def run(bot, **options):
        events = []
        made.append(Supervisor(lambda: bot, SmallWebRTCRequestHandler(), observer=events.append, **options))
        return made[-1], events

    yield run
    for each in made:
        await each.close()


def names(events):
    return [each.event for each in events]


async def heard_until_the_end(exchange):
    """Call; what the caller is told until the end, and why it ended."""
    async with dialed(exchange) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.start()
        await asyncio.wait_for(connection.wait_closed(), 10)
        await until(lambda: mailbox.messages.qsize() or connection.close_reason)
        return [mailbox.messages.get_nowait() for _ in range(mailbox.messages.qsize())], connection.close_reason


async def test_the_caller_of_a_bot_that_fails_gets_an_rtvi_error_and_peer_left(running):
    async def bot(_):
        raise KeyError("voice")

    supervisor, events = running(bot)
    messages, reason = await heard_until_the_end(supervisor)
    await until(lambda: "closed" in names(events))
    assert reason is CloseReason.PEER_LEFT
    assert (messages[0]["label"], messages[0]["type"]) == ("rtvi-ai", "error")
    assert (messages[0]["data"]["error"], messages[0]["data"]["fatal"]) == ("KeyError: 'voice'", True)
    assert messages[0]["data"]["traceback"].startswith("Traceback (most recent call last):\n")
    assert names(events)[:2] == ["offered", "bot-failed"]
    assert events[1].detail["traceback"].splitlines()[-1] == "KeyError: 'voice'"
    assert next(each for each in events if each.event == "closed").detail["reason"] == "bot-failed"


@pytest.mark.parametrize("length", [10_000, 1_000_000])
async def test_an_error_that_is_longer_than_a_message_may_be_is_told_all_the_same(running, length):
    async def bot(_):
        raise ValueError("x" * length)

    supervisor, events = running(bot)
    messages, reason = await heard_until_the_end(supervisor)
    assert reason is CloseReason.PEER_LEFT
    assert messages[0]["data"]["error"].startswith("ValueError: xxx")
    assert messages[0]["data"]["error"].endswith("x…")
    assert len(str(messages[0])) < 20_000
    assert len(events[1].detail["error"]) > length


@pytest.mark.parametrize(
    ("error", "told"),
    [(SystemExit(3), "SystemExit: 3"), (ExceptionGroup("both", [KeyError()]), "ExceptionGroup: both")],
)
async def test_whatever_a_bot_raises_is_a_failure_of_that_bot_alone(running, error, told):
    async def bot(_):
        raise error

    supervisor, events = running(bot)
    messages, _ = await heard_until_the_end(supervisor)
    assert messages[0]["data"]["error"].startswith(told)
    assert "bot-failed" in names(events)


async def test_a_bot_that_returns_ends_its_session(running):
    async def bot(_):
        return "something"

    supervisor, events = running(bot)
    messages, reason = await heard_until_the_end(supervisor)
    await until(lambda: "closed" in names(events))
    assert (messages, reason) == ([], CloseReason.PEER_LEFT)
    assert "bot-ended" in names(events)
    assert next(each for each in events if each.event == "closed").detail["reason"] == "bot-ended"
    await until(lambda: supervisor.sessions == ())


async def test_a_bot_that_cancels_itself_has_ended_and_the_server_goes_on(running):
    async def bot(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        me = asyncio.current_task()
        transport.add_event_handler("on_client_connected", lambda *_: me.cancel())
        await transport.wait_closed()

    supervisor, events = running(bot)
    messages, _ = await heard_until_the_end(supervisor)
    await until(lambda: "closed" in names(events))
    assert messages == []
    assert next(each for each in events if each.event == "closed").detail["reason"] == "bot-ended"
    await heard_until_the_end(supervisor)


async def test_a_bot_may_finish_what_it_does_when_its_client_has_gone(running):
    finish, finished = asyncio.Event(), []

    async def bot(runner_args):
        await idle_bot(runner_args)
        await finish.wait()
        finished.append(runner_args.session_id)

    supervisor, events = running(bot, rooms=(rooms := Rooms()))
    async with dialed(supervisor):
        session = supervisor.sessions[0]
        assert rooms.inside == [session.id]
    await until(lambda: "closed" in names(events))
    assert supervisor.sessions == (session,)
    assert (session.bot, session.connection.close_reason) == ("running", CloseReason.PEER_CLOSED)
    finish.set()
    await until(lambda: not supervisor.sessions)
    assert (finished, rooms.inside) == ([session.id], [])


async def test_a_bot_is_given_the_body_the_connection_and_the_sessions_id(running):
    given = []

    async def bot(runner_args):
        given.append(runner_args)

    supervisor, _ = running(bot)
    connection = Dialer(supervisor).connection
    supervisor.start(connection, {"a": 1}, "the-id")
    supervisor.start(connection)
    await until(lambda: len(given) == 2)
    assert isinstance(given[0], SmallWebRTCRunnerArguments)
    assert (given[0].webrtc_connection, given[0].body, given[0].session_id) == (connection, {"a": 1}, "the-id")
    assert given[1].body == {}
    assert len(given[1].session_id) == 36


async def test_a_bot_and_its_handlers_know_whose_they_are(running):
    seen = {}

    async def bot(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        seen["bot"] = session_of_task.get()

        @transport.event_handler("on_app_message")
        async def on_app_message(transport, message, sender):
            seen["handler"] = session_of_task.get()
            seen["task"] = await asyncio.create_task(asyncio.to_thread(session_of_task.get))

        await transport.wait_closed()

    supervisor, _ = running(bot)
    async with dialed(supervisor) as (_, connection):
        session = supervisor.sessions[0].id
        connection.send_app_message({"n": 1})
        await until(lambda: "task" in seen)
    assert seen == {"bot": session, "handler": session, "task": session}
    assert session_of_task.get() is None


async def test_no_more_bots_run_than_may_and_the_next_is_told_so(running):
    supervisor, _ = running(idle_bot, most=1)
    async with dialed(supervisor):
        with pytest.raises(Unavailable, match="1 sessions are running") as refused:
            await Dialer(supervisor, AUDIO_ONLY).dial()
        assert refused.value.status == 503
        assert len(supervisor.sessions) == 1
    await until(lambda: not supervisor.sessions)
    async with dialed(supervisor):
        assert len(supervisor.sessions) == 1


class SlowHandler:
    """Answers when it is told to; knows one client."""

    def __init__(self):
        self.answer, self.answered = asyncio.Event(), 0

    def knows(self, pc_id):
        return pc_id == "known"

    async def handle_web_request(self, request, callback):
        await self.answer.wait()
        self.answered += 1
        return {"sdp": "", "type": "answer", "pc_id": "known"}

    async def close(self):
        return None


async def test_offers_that_are_being_answered_count_but_those_of_a_session_that_runs_do_not():
    handler = SlowHandler()
    supervisor = Supervisor(lambda: idle_bot, handler, most=1)
    again = [asyncio.create_task(supervisor.offer(SmallWebRTCRequest("v=0", "offer", "known"))) for _ in range(3)]
    await asyncio.sleep(0)
    first = asyncio.create_task(supervisor.offer(OFFER))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await supervisor.offer(OFFER)
    handler.answer.set()
    await asyncio.gather(first, *again)
    await supervisor.offer(OFFER)
    assert handler.answered == 5


async def test_a_close_tells_the_callers_and_cancels_the_bots(running):
    cleaned = []

    async def bot(runner_args):
        try:
            await idle_bot(runner_args)
            await asyncio.sleep(60)
        finally:
            cleaned.append(runner_args.session_id)

    supervisor, events = running(bot)
    async with dialed(supervisor) as (_, connection):
        await connection.wait_for(lambda: connection.peer.stages.channel is not None)
        await supervisor.close()
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_LEFT
        assert len(cleaned) == 1
        await until(lambda: "closed" in names(events))
        assert next(each for each in events if each.event == "closed").detail["reason"] == "server-shutdown"
        assert not {"bot-ended", "bot-failed"} & set(names(events))
        with pytest.raises(ServerClosing):
            await supervisor.offer(OFFER)
        with pytest.raises(ServerClosing):
            supervisor.start(connection)


async def test_a_close_does_not_wait_for_a_bot_that_refuses_to_end(running, monkeypatch, caplog):
    monkeypatch.setattr(module, "BOT_TIMEOUT", 0.05)
    enough = asyncio.Event()

    async def bot(_):
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue

    supervisor, _ = running(bot)
    async with dialed(supervisor):
        with caplog.at_level(logging.WARNING, "smallrtc_cli"):
            await asyncio.wait_for(supervisor.close(), 10)
        assert [each.getMessage().partition("does")[2] for each in caplog.records] == [" not end"]
    enough.set()
    await until(lambda: not supervisor.sessions)


async def test_the_statuses_tell_of_every_session(running):
    supervisor, _ = running(idle_bot)
    assert await supervisor.statuses() == []
    async with dialed(supervisor), dialed(supervisor):
        await until(lambda: all(each.connection.is_connected() for each in supervisor.sessions))
        statuses = await supervisor.statuses()
        assert [each.id for each in statuses] == [each.id for each in supervisor.sessions]
        assert {(each.state, each.bot) for each in statuses} == {("connected", "running")}
        assert all("transport" in {entry["type"] for entry in each.report.values()} for each in statuses)
        assert all(0 < each.seconds < 60 for each in statuses)


async def test_a_connection_that_never_came_up_has_a_status_too(running):
    supervisor, _ = running(lambda _: asyncio.sleep(60))
    supervisor.start(Dialer(supervisor).connection)
    assert [(each.state, each.report) for each in await supervisor.statuses()] == [("new", {})]


async def test_a_bot_without_an_observer_is_logged_when_it_fails(caplog):
    async def bot(_):
        raise KeyError("voice")

    async with answering(bot) as server:
        logging.getLogger("smallrtc_cli").propagate = True
        async with dialed(server.supervisor) as (_, connection):
            await asyncio.wait_for(connection.wait_closed(), 10)
    assert any("failed" in each.getMessage() and "KeyError: 'voice'" in each.getMessage() for each in caplog.records)


def test_events_survive_the_way_to_another_process():
    event = SessionEvent("closed", "id", {"reason": "bot-ended"})
    assert SessionEvent.from_dict(event.to_dict()) == event
