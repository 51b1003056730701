"""Rows are redrawn in place: what a terminal of a few rows shows in the end."""

import re

import pytest

from smallrtc_cli.report.region import Region

_CODE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(.)", re.DOTALL)


class Screen:
    """As much of a terminal as the region needs: it has no end below, and breaks long rows when it gets narrower."""

    def __init__(self, width, *rows):
        self.width = width
        self.rows = [*rows, ""]
        self.row = len(rows)
        self.column = 0
        self.written = []

    def write(self, text):
        self.written.append(text)
        for parameters, code, character in _CODE.findall(text):
            self._obey(parameters, code, character)

    def _obey(self, parameters, code, character):
        if code == "A":
            self.row = max(0, self.row - int(parameters or 1))
        elif code == "K":
            assert parameters == "2"
            self.rows[self.row] = ""
        elif character == "\r":
            self.column = 0
        elif character == "\n":
            self.row += 1
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif character:
            before = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = before[: self.column] + character + before[self.column + 1 :]
            self.column += 1

    def resize(self, width):
        assert self.column == 0
        broken = [[row[at : at + width] for at in range(0, len(row), width)] or [""] for row in self.rows]
        self.row = sum(map(len, broken[: self.row]))
        self.rows, self.width = [piece for row in broken for piece in row], width

    @property
    def text(self):
        return "\n".join(self.rows).rstrip()


@pytest.fixture
def screen():
    return Screen(20, "$ smallrtc")


def test_it_starts_where_the_cursor_is_and_stays_there(screen):
    region = Region()
    for figure in range(3):
        screen.write(region.painted(["one", f"two {figure}", "three"], 20))
        assert screen.text == f"$ smallrtc\none\ntwo {figure}\nthree"


def test_rows_that_are_there_are_not_written_again(screen):
    region = Region()
    screen.write(region.painted(["one", "two", "three"], 20))
    assert region.painted(["one", "two", "three"], 20) == ""
    assert not re.search("one|three", region.painted(["one", "2", "three"], 20))


@pytest.mark.parametrize("rows", [["a"], ["a", "b"], ["a", "b", "c", "d", "e"]])
def test_it_may_get_lower_and_higher(screen, rows):
    region = Region()
    for each in (["one", "two", "three"], rows, ["one", "two", "three"], rows):
        screen.write(region.painted(each, 20))
        assert screen.text == "$ smallrtc\n" + "\n".join(each)


def test_a_shorter_row_leaves_nothing_of_the_longer_one(screen):
    region = Region()
    screen.write(region.painted(["something long", "x"], 20))
    screen.write(region.painted(["short", "x"], 20))
    assert screen.text == "$ smallrtc\nshort\nx"


@pytest.mark.parametrize("narrow", [19, 10, 7, 3])
def test_a_terminal_that_becomes_narrower_keeps_what_is_above_and_loses_the_rest(screen, narrow):
    region = Region()
    screen.write(region.painted(["\x1b[1mtwenty columns wide.\x1b[0m", "", "ten columns", "last of its rows"], 20))
    screen.resize(narrow)
    screen.write(region.painted(["new"], narrow))
    expected = Screen(20, "$ smallrtc")
    expected.resize(narrow)
    assert screen.text == f"{expected.text}\nnew"


def test_a_terminal_that_becomes_wider_shows_it_once(screen):
    region = Region()
    screen.write(region.painted(["one", "two"], 20))
    screen.resize(40)
    screen.write(region.painted(["one", "two"], 40))
    assert screen.text == "$ smallrtc\none\ntwo"


def test_what_is_written_after_it_was_cleared_takes_its_place(screen):
    region = Region()
    screen.write(region.painted(["one", "two"], 20))
    screen.write(region.cleared(20) + "said\r\n" + region.painted(["one", "two"], 20))
    assert screen.text == "$ smallrtc\nsaid\none\ntwo"
    screen.write(region.cleared(20))
    assert screen.text == "$ smallrtc\nsaid"
    assert region.cleared(20) == ""


def test_what_others_wrote_stays_when_it_is_forgotten(screen):
    region = Region()
    screen.write(region.painted(["one", "two"], 20))
    screen.write("\r\n$ fg\r\n")
    region.forget()
    screen.write(region.painted(["one", "two"], 20))
    assert screen.text == "$ smallrtc\none\ntwo\n$ fg\none\ntwo"


def test_long_rows_do_not_wrap_while_they_are_written_and_do_afterwards(screen):
    codes = Region().painted(["one"], 20)
    assert codes.startswith("\x1b[?7l")
    assert codes.endswith("\x1b[?7h")


def test_a_text_that_is_pushed_in_stands_above_and_the_rows_are_as_they_were():
    region, screen = Region(), Screen(40)
    screen.write(region.painted(["one", "two"], 40))
    screen.write(region.pushed_down("said", 40).replace("\n", "\r\n"))  # as a terminal does
    assert screen.text == "said\none\ntwo"
    assert region.painted(["one", "two"], 40) == ""


def test_a_text_that_is_pushed_into_a_narrower_terminal_leaves_no_row_of_before():
    region, screen = Region(), Screen(40)
    screen.write(region.painted(["a row of thirty characters ....", "two"], 40))
    screen.resize(20)
    screen.write(region.pushed_down("said", 20).replace("\n", "\r\n"))
    assert screen.text == "said"
    screen.write(region.painted(["one", "two"], 20))
    assert screen.text == "said\none\ntwo"
