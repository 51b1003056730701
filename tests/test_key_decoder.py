"""What a terminal sends is turned into keys, however it is torn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.key_decoder import KeyDecoder

KEYS = [
    (b"m", ["m"]),
    (b" ?q", [" ", "?", "q"]),
    ("é日😀".encode(), ["é", "日", "😀"]),
    ("👩\u200d🚀".encode(), ["👩", "\u200d", "🚀"]),
    ("\u3000\u00a0".encode(), ["\u3000", "\u00a0"]),
    (b"\r\n", ["enter", "enter"]),
    (b"\t", ["tab"]),
    (b"\x7f\x08", ["backspace", "backspace"]),
    (b"\x15\x17\x01", ["ctrl-u", "ctrl-w", "ctrl-a"]),
    (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
    (b"\x1bOA\x1bOB\x1bOC\x1bOD", ["up", "down", "right", "left"]),
    (b"\x1b[1;5C\x1b[1;2D", ["right", "left"]),
    (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~\x1bOH\x1bOF", ["home", "end"] * 4),
    (b"\x1b[2~\x1b[3~\x1b[5~\x1b[6~\x1b[3;5~", ["insert", "delete", "page-up", "page-down", "delete"]),
    (b"\x1bb\x1b\x7f", ["alt-b", "alt-backspace"]),
    (b"\x1b\x1b[A", ["escape", "up"]),
    (b"\x1b[15~\x1b[?1;2c\x1b[99;5uq", ["q"]),
    (b"\x1bOPq", ["q"]),
    (b"\x00\x1c\x1fq", ["q"]),
    ("\u202e\u0085q".encode(), ["q"]),
    (b"\x1b[200~a\rb\n\tq\x15\x1b[A\x1b[201~\r", [*"a b  q", "enter"]),
]


@pytest.mark.parametrize(("data", "keys"), KEYS)
def test_what_is_sent_is_these_keys(data, keys):
    assert KeyDecoder().feed(data) == keys


@pytest.mark.parametrize(("data", "keys"), KEYS)
def test_it_may_come_byte_by_byte(data, keys):
    decoder = KeyDecoder()
    found = [key for byte in data for key in decoder.feed(bytes([byte]))]
    assert found == keys
    assert not decoder.waiting


def test_a_lone_escape_is_the_key_once_nothing_followed():
    decoder = KeyDecoder()
    assert decoder.feed(b"a\x1b") == ["a"]
    assert decoder.waiting
    assert decoder.flush() == ["escape"]
    assert not decoder.waiting
    assert decoder.feed(b"[A") == ["[", "A"]


@pytest.mark.parametrize("start", [b"\x1b[", b"\x1b[1;", b"\x1bO"])
def test_the_start_of_a_sequence_without_its_end_is_nothing(start):
    decoder = KeyDecoder()
    assert decoder.feed(start) == []
    assert decoder.waiting
    assert decoder.flush() == []
    assert decoder.feed(b"q") == ["q"]


def test_a_sequence_without_end_is_not_kept_for_ever():
    decoder = KeyDecoder()
    for _ in range(100):
        decoder.feed(b"\x1b[" + b"1" * 100)
    assert not decoder.waiting


def test_a_pause_within_a_paste_changes_nothing():
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b[200~a\x1b") == ["a"]
    assert decoder.flush() == []
    assert decoder.feed(b"q\n") == ["q", " "]


def test_bytes_that_are_no_text_do_not_stop_it():
    assert KeyDecoder().feed(b"\xff\xc3(q") == ["\ufffd", "\ufffd", "(", "q"]


@given(st.lists(st.binary(max_size=12), max_size=12))
def test_whatever_comes_a_key_is_a_name_or_one_visible_character(pieces):
    decoder = KeyDecoder()
    keys = [key for piece in pieces for key in [*decoder.feed(piece), *decoder.flush()]]
    assert all(key.isprintable() or (len(key) == 1 and not key.isascii()) for key in keys)
    assert "" not in keys
