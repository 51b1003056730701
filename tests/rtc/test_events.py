"""Handlers hear what happened in its order, one at a time, and none of them can stop the others."""

import asyncio
import logging

import pytest

from smallrtc_cli.config import Limits
from smallrtc_cli.rtc.events import Inbox

NAMES = frozenset({"message", "state", "closed"})


class Sender:
    def __str__(self):
        return "the sender"


@pytest.fixture
def sender():
    return Sender()


@pytest.fixture
def inbox(sender):
    return Inbox(sender, NAMES, Limits(inbox=4, inbox_bytes=100))


async def _all_heard(inbox):
    await inbox.finish(timeout=5)


async def test_a_handler_gets_the_sender_and_the_arguments(inbox, sender):
    heard = []
    inbox.add("message", lambda *args: heard.append(args))
    inbox.put("message", 1, "two")
    assert heard == []  # never from within `put`
    await _all_heard(inbox)
    assert heard == [(sender, 1, "two")]


async def test_plain_and_coroutine_functions_are_called_in_the_order_of_their_registration(inbox):
    heard = []

    @inbox.decorator("message")
    async def first(sender, number):
        await asyncio.sleep(0)
        heard.append(("first", number))

    @inbox.decorator("message")
    def second(sender, number):
        heard.append(("second", number))

    inbox.put("message", 1)
    inbox.put("message", 2)
    await _all_heard(inbox)
    assert heard == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


async def test_when_it_is_closed_nobody_is_called_whoever_is_added(inbox, caplog):
    heard = []
    inbox.add("message", heard.append)
    inbox.close()
    inbox.add("message", heard.append)
    inbox.put("message")
    await _all_heard(inbox)
    assert (heard, caplog.messages) == ([], [])


async def test_a_slow_handler_is_not_overtaken_by_a_later_event(inbox):
    heard, gate = [], asyncio.Event()

    @inbox.decorator("message")
    async def slow(sender):
        heard.append("slow begins")
        await gate.wait()
        heard.append("slow ends")

    inbox.add("state", lambda sender: heard.append("state"))
    inbox.put("message")
    inbox.put("state")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard == ["slow begins"]
    gate.set()
    await _all_heard(inbox)
    assert heard == ["slow begins", "slow ends", "state"]


async def test_what_a_handler_causes_comes_after_what_was_there_before(inbox):
    heard = []

    @inbox.decorator("message")
    def causes_more(sender, number):
        heard.append(number)
        if number == 1:
            inbox.put("message", 3)

    inbox.put("message", 1)
    inbox.put("message", 2)
    await _all_heard(inbox)
    assert heard == [1, 2, 3]


async def test_a_handler_that_fails_is_logged_and_the_next_one_is_called(inbox, caplog):
    heard = []

    @inbox.decorator("message")
    def broken(sender, number):
        raise ZeroDivisionError

    inbox.add("message", lambda sender, number: heard.append(number))
    inbox.put("message", 1)
    inbox.put("message", 2)
    await _all_heard(inbox)
    assert heard == [1, 2]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2
    assert "a handler of `message` failed" in caplog.text


async def test_an_inbox_goes_on_after_a_handler_that_was_cancelled(inbox):
    heard = []

    @inbox.decorator("message")
    async def gives_up(sender, number):
        heard.append(number)
        if number == 1:
            raise asyncio.CancelledError

    inbox.put("message", 1)
    inbox.put("message", 2)
    await _all_heard(inbox)
    inbox.put("message", 3)
    await _all_heard(inbox)
    assert heard == [1, 2, 3]


async def test_messages_beyond_the_bound_are_dropped_and_counted_and_the_first_ones_kept(inbox):
    heard = []
    inbox.add("message", lambda sender, number: heard.append(number))
    for number in range(7):
        inbox.put("message", number, size=1)
    await _all_heard(inbox)
    assert heard == [0, 1, 2, 3]
    assert inbox.dropped == 3


async def test_bytes_are_bounded_too_and_count_no_more_once_they_were_heard(inbox):
    heard = []
    inbox.add("message", lambda sender, number: heard.append(number))
    inbox.put("message", 1, size=60)
    inbox.put("message", 2, size=60)
    inbox.put("message", 3, size=40)
    await _all_heard(inbox)
    inbox.put("message", 4, size=100)
    await _all_heard(inbox)
    assert heard == [1, 3, 4]
    assert inbox.dropped == 1


async def test_a_state_change_is_never_dropped(inbox):
    heard = []
    inbox.add("message", lambda sender: None)
    inbox.add("state", lambda sender, number: heard.append(number))
    for _ in range(10):
        inbox.put("message", size=50)
    for number in range(10):
        inbox.put("state", number)
    await _all_heard(inbox)
    assert heard == list(range(10))


async def test_what_nobody_listens_for_takes_no_room(inbox):
    for _ in range(10):
        inbox.put("message", size=50)
    assert inbox.dropped == 0
    await _all_heard(inbox)


async def test_a_handler_that_was_removed_is_not_called(inbox):
    heard = []
    inbox.add("message", heard.append)
    inbox.remove("message", heard.append)
    inbox.remove("message", print)
    inbox.put("message")
    await _all_heard(inbox)
    assert heard == []


async def test_a_handler_may_remove_itself(inbox):
    heard = []

    def once(sender):
        heard.append("once")
        inbox.remove("message", once)

    inbox.add("message", once)
    inbox.add("message", lambda sender: heard.append("other"))
    inbox.put("message")
    inbox.put("message")
    await _all_heard(inbox)
    assert heard == ["once", "other", "other"]


async def test_an_unknown_event_is_named_with_those_that_are_known(inbox, caplog):
    inbox.add("mesage", print)
    assert "no event `mesage`; known are closed, message, state" in caplog.text


async def test_deliver_returns_when_the_handlers_have_ended(inbox):
    heard = []

    @inbox.decorator("message")
    async def slow(sender):
        await asyncio.sleep(0)
        heard.append("heard")

    await inbox.deliver("message")
    assert heard == ["heard"]


async def test_finish_waits_for_what_has_happened(inbox):
    heard, gate = [], asyncio.Event()

    @inbox.decorator("message")
    async def slow(sender):
        await gate.wait()
        heard.append("message")

    inbox.add("closed", lambda sender: heard.append("closed"))
    inbox.put("message")
    inbox.put("closed")
    asyncio.get_running_loop().call_soon(gate.set)
    await inbox.finish(timeout=5)
    assert heard == ["message", "closed"]


async def test_finish_cancels_a_handler_that_does_not_end_and_says_whose(inbox, caplog):
    ended = []

    @inbox.decorator("message")
    async def endless(sender):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    inbox.put("message")
    with caplog.at_level(logging.WARNING):
        await inbox.finish(timeout=0.01)
    assert ended == ["cancelled"]
    assert "a handler of the sender did not end" in caplog.text


async def test_a_handler_may_finish_its_own_inbox(inbox):
    heard = []

    @inbox.decorator("message")
    async def ends_it(sender):
        await inbox.finish(timeout=60)
        heard.append("came back")

    inbox.put("message")
    await inbox.finish(timeout=5)
    assert heard == ["came back"]


async def test_an_inbox_without_events_is_finished_at_once(inbox):
    await inbox.finish(timeout=60)


async def test_nothing_is_left_running_when_all_was_heard(inbox):
    before = asyncio.all_tasks()
    inbox.add("message", lambda sender: None)
    inbox.put("message")
    await _all_heard(inbox)
    assert asyncio.all_tasks() == before


async def test_what_waits_behind_a_handler_that_is_given_up_still_comes():
    seen = []
    inbox = Inbox(object(), frozenset({"message", "closed"}))
    inbox.add("message", lambda sender: asyncio.sleep(3600))
    inbox.add("closed", lambda sender: seen.append("closed"))
    inbox.put("message")
    inbox.put("closed")
    await inbox.finish(0.05)
    assert seen == ["closed"]


async def test_a_cancellation_inside_a_handler_ends_neither_the_inbox_nor_what_waits():
    seen = []
    inbox = Inbox(object(), frozenset({"message"}))

    async def handler(sender, number):
        seen.append(number)
        if number == 0:
            raise asyncio.CancelledError

    inbox.add("message", handler)
    for number in range(3):
        inbox.put("message", number)
    await inbox.finish(5)
    assert seen == [0, 1, 2]
