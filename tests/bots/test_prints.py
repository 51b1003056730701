"""Prints of bots, told apart by session."""

import asyncio
import contextlib
import io
import sys

import pytest

from smallrtc_cli.bots.prints import BotPrints
from smallrtc_cli.bots.supervisor import session_of_task


@pytest.fixture
def said():
    return []


@pytest.fixture
def original():
    return io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)


@pytest.fixture
def prints(said, original):
    return BotPrints(original, lambda session, line: said.append((session, line)))


@contextlib.contextmanager
def bot(session):
    before = session_of_task.set(session)
    try:
        yield
    finally:
        session_of_task.reset(before)


def written(original):
    return original.buffer.getvalue().decode("latin-1")


def test_a_bots_line_is_said_and_other_text_goes_where_it_went(prints, said, original):
    print("starting", file=prints)
    with bot("a"):
        print("hello", 1, file=prints)
    print("done", end="", file=prints)
    assert said == [("a", "hello 1")]
    assert written(original) == "starting\ndone"


def test_lines_are_put_together_for_each_session_apart(prints, said):
    for session, text in (("a", "one "), ("b", "I am"), ("a", "two\nthree"), ("b", " b\n"), ("a", "\n\n")):
        with bot(session):
            assert prints.write(text) == len(text)
    assert said == [("a", "one two"), ("b", "I am b"), ("a", "three"), ("a", "")]


def test_what_has_no_line_end_is_told_at_the_end_of_the_session_once(prints, said):
    with bot("a"):
        prints.write("bye")
    assert said == []
    prints.finish("b")
    prints.finish("a")
    prints.finish("a")
    assert said == [("a", "bye")]


def test_text_without_a_line_end_does_not_pile_up(prints, said):
    with bot("a"):
        for _ in range(3):
            prints.write("x" * 9_000)
    assert [len(line) for _, line in said] == [18_000]


def test_printing_while_a_line_is_told_to_the_real_stdout_is_no_loop(original, monkeypatch):
    prints = BotPrints(original, lambda session, line: original.write(f"{session}: {line}\n"))
    monkeypatch.setattr(sys, "stdout", prints)
    with bot("a"):
        print("hello")
    assert written(original) == "a: hello\n"


async def test_tasks_and_threads_of_a_bot_print_in_its_name(prints, said):
    with bot("a"):
        await asyncio.gather(asyncio.to_thread(prints.write, "thread\n"), asyncio.create_task(as_a_task(prints)))
    assert sorted(said) == [("a", "task"), ("a", "thread")]


async def as_a_task(prints):
    print("task", file=prints)


def test_it_has_what_a_stdout_has(prints, original):
    assert prints.encoding == "latin-1"
    assert prints.buffer is original.buffer
    assert prints.writable()
    assert not prints.isatty()
    prints.reconfigure(encoding="utf-8")
    assert prints.encoding == "utf-8"
    prints.flush()
    with pytest.raises(AttributeError):
        _ = prints.nothing_of_the_kind
