"""What keys do to a call, where that goes wrong."""

import asyncio

from calls import until

from smallrtc_cli.commands.connect.screen import Screen
from smallrtc_cli.errors import MessageTooLarge


class Call:
    """One that sends nothing, and keeps its tasks."""

    def __init__(self):
        self.tasks = []

    def own(self, work):
        self.tasks.append(asyncio.ensure_future(work))

    async def send(self, message):
        raise MessageTooLarge("the message has 9 bytes, and the other side takes 8")


async def test_a_message_that_cannot_be_sent_is_told_and_does_not_end_the_call(monkeypatch):
    call, told = Call(), []
    screen = Screen(None, call, None, None, None, place="localhost", push_to_talk=False)
    monkeypatch.setattr(screen, "tell", told.append)
    screen.send({"a": 1})
    await until(lambda: all(task.done() for task in call.tasks))
    assert call.tasks[0].exception() is None
    assert told == ["not sent: the message has 9 bytes, and the other side takes 8"]
