import logging

import pytest
from rich.text import Text

from smallrtc_cli import console
from smallrtc_cli.errors import CannotRun

ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_data_goes_to_stdout_and_words_to_stderr(capsys):
    console.show('{"a": 1}')
    console.say("setting up")
    assert capsys.readouterr() == ('{"a": 1}\n', "setting up\n")


def test_an_error_is_a_sentence_a_blank_line_and_a_hint(capsys):
    console.fail(CannotRun("no device matches `usb [1]`", hint="run `smallrtc devices`"))
    expected = "error: no device matches `usb [1]`\n\nhint: run `smallrtc devices`\n"
    assert capsys.readouterr() == ("", expected)


def test_an_error_without_a_cure_is_one_line(capsys):
    console.fail(CannotRun("the other side hung up"))
    assert capsys.readouterr().err == "error: the other side hung up\n"


@pytest.mark.parametrize("text", ["[red]x[/red]", ":smile: [/]", "https://x.example/[1]", "a" * 300])
def test_what_was_typed_is_shown_as_typed(capsys, text):
    console.fail(CannotRun(text, hint=text))
    assert capsys.readouterr().err == f"error: {text}\n\nhint: {text}\n"


def test_control_characters_cannot_steer_the_terminal(capsys):
    console.fail(CannotRun("the server said \x1b[2J\r\x9b1m"))
    assert capsys.readouterr().err == "error: the server said \\x1b[2J\\x0d\\x9b1m\n"


def test_colour_is_forced_and_refused_by_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console.fail(CannotRun("x"))
    assert ESCAPE in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    console.fail(CannotRun("x"))
    assert "\x1b[31m" not in capsys.readouterr().err
    monkeypatch.setenv("TERM", "dumb")
    console.fail(CannotRun("x"))
    assert capsys.readouterr().err == "error: x\n"


def test_a_laid_out_text_is_not_wrapped_again_and_has_no_colour_in_a_pipe(capsys):
    console.show(Text("x" * 200, "red"))
    assert capsys.readouterr().out == "x" * 200 + "\n"


def test_the_width_is_that_of_the_terminal_or_eighty(monkeypatch):
    assert console.width() == 80
    monkeypatch.setenv("COLUMNS", "44")
    assert console.width() == 44


def test_github_gets_an_annotation_as_well(capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    console.fail(CannotRun("100 % lost", hint="try\r\nagain"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "::error title=smallrtc::100 %25 lost%0Atry\\x0d%0Aagain"


def test_an_annotation_cannot_be_broken_out_of(capsys):
    console.annotate("a\n::set-env::b", title="x,y: 1%")
    assert capsys.readouterr().err == "::error title=x%2Cy%3A 1%25::a%0A::set-env::b\n"


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_nothing_moves_under_ci_or_on_a_dumb_terminal(monkeypatch, name, value):
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    assert console.is_live()
    monkeypatch.setenv(name, value)
    assert not console.is_live()


def test_nothing_moves_in_a_pipe(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    assert not console.is_live()


def _logged(capsys, verbosity):
    console.logging_setup(verbosity)
    ours, theirs = logging.getLogger("smallrtc_cli.rtc.peer"), logging.getLogger("aioice.ice")
    for logger in (ours, theirs):
        logger.debug("detail")
        logger.info("step")
        logger.warning("trouble")
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_only_our_warnings_are_shown_unless_asked_for_more(capsys):
    assert _logged(capsys, 0) == ["warning: trouble"]
    assert _logged(capsys, 1) == ["info: step", "warning: trouble"]


def test_all_details_carry_time_and_name(capsys):
    lines = _logged(capsys, 2)
    assert len(lines) == 6
    assert lines[0].endswith(" debug: smallrtc_cli.rtc.peer: detail")
    assert lines[5].endswith(" warning: aioice.ice: trouble")
    assert lines[0][2] == lines[0][5] == ":"


def test_setting_up_twice_shows_a_record_once(capsys):
    _logged(capsys, 2)
    assert _logged(capsys, 0) == ["warning: trouble"]


def test_the_root_logger_stays_the_bots_own():
    before = list(logging.getLogger().handlers)
    console.logging_setup(2)
    assert logging.getLogger().handlers == before
