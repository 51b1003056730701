import logging
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

import smallrtc_cli
from smallrtc_cli import cli
from smallrtc_cli.commands import serve as serve_command
from smallrtc_cli.commands.loopback_limits import LIMITS
from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.commands.serve import ServeOptions
from smallrtc_cli.errors import CannotRun, ExitCode

ROOT = Path(smallrtc_cli.__file__).parents[1]
HEAVY = {"aiortc", "aioice", "av", "numpy", "aiohttp", "sounddevice", "cffi", "cryptography"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    in_process: bool = False
    play_from: Path | None = None
    duration: float | None = None
    record_to: Path | None = None
    limits: tuple[str, ...] = ()
    json: bool = False
    junit: Path | None = None
    repeat: int = 1
    audio_only: bool = False


class FakeLoopback:
    """Stands in for the command: keeps the options it was called with, and ends as it is told."""

    def __init__(self):
        self.options = None
        self.end = ExitCode.OK

    def run(self, options):
        self.options = options
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


@pytest.fixture
def command(monkeypatch):
    fake = FakeLoopback()
    module = ModuleType("smallrtc_cli.commands.loopback")
    module.LoopbackOptions = FakeOptions
    module.run = fake.run
    monkeypatch.setitem(sys.modules, "smallrtc_cli.commands.loopback", module)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return fake


def _python(code, *arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, text=True, timeout=50, check=False, **options)


def _smallrtc(*arguments, **options):
    return _python("import sys; from smallrtc_cli.cli import main; sys.exit(main())", *arguments, **options)


class FakeServe:
    """Stands in for the command: keeps the options, real ones, that it was called with."""

    options = None

    def run(self, options):
        self.options = options
        return ExitCode.INTERRUPTED


@pytest.fixture
def serve(monkeypatch):
    fake = FakeServe()
    monkeypatch.setattr(serve_command, "run", fake.run)
    return fake


def test_serve_with_nothing_typed_has_the_documented_defaults(serve):
    assert cli.main(["serve"]) == ExitCode.INTERRUPTED
    assert serve.options == ServeOptions()
    defaults = (serve.options.host, serve.options.port, serve.options.reload, serve.options.reload_delay)
    assert defaults == ("localhost", 7860, None, 0.25)


def test_every_option_of_serve_arrives_as_it_was_typed(serve):
    typed = "-v serve bot.py:main --host 0.0.0.0 --port 0 --isolate --max-sessions 3 --record rec --json-lines"
    typed += " --reload --reload-dir a --reload-dir b --reload-include *.yaml --reload-exclude old"
    typed += " --reload-delay 1.5 --token s --allowed-origins https://a --allowed-origins *"
    typed += " --https --ssl-certfile c.pem --ssl-keyfile k.pem --esp32 --ice-servers stun:a --ice-servers turn:b"
    typed += " --ice-policy relay --udp-ports 50000-50010 --interface en0 --interface lo --public-ip 203.0.113.7 -v"
    typed += " --sctp-chunk 1184"
    cli.main(typed.split())
    assert serve.options == ServeOptions(
        bot="bot.py:main",
        host="0.0.0.0",
        port=0,
        isolate=True,
        max_sessions=3,
        record=Path("rec"),
        json_lines=True,
        reload=True,
        reload_dirs=(Path("a"), Path("b")),
        reload_include=("*.yaml",),
        reload_exclude=("old",),
        reload_delay=1.5,
        token="s",
        allowed_origins=("https://a", "*"),
        https=True,
        ssl_certfile=Path("c.pem"),
        ssl_keyfile=Path("k.pem"),
        esp32=True,
        network=NetworkOptions(
            ice_servers=("stun:a", "turn:b"),
            ice_policy="relay",
            udp_ports="50000-50010",
            interfaces=("en0", "lo"),
            sctp_chunk="1184",
            public_ip="203.0.113.7",
        ),
        verbosity=2,
    )
    unlike_the_default = {
        each.name for each in fields(ServeOptions) if getattr(serve.options, each.name) != each.default
    }
    assert unlike_the_default == {each.name for each in fields(ServeOptions)} - {"bot_arguments"}


@pytest.mark.parametrize(
    ("typed", "bot", "behind"),
    [
        ("serve --", None, ()),
        ("serve -- --voice amy", None, ("--voice", "amy")),
        ("serve bot.py -- --port 1 --help", "bot.py", ("--port", "1", "--help")),
        ("serve bot.py -- a -- b", "bot.py", ("a", "--", "b")),
        ("-v serve echo --no-reload -- -v", "echo", ("-v",)),
    ],
)
def test_what_follows_two_dashes_is_the_bots_untouched(serve, typed, bot, behind):
    cli.main(typed.split())
    assert (serve.options.bot, serve.options.bot_arguments) == (bot, behind)


@pytest.mark.parametrize(("typed", "reload"), [("", None), ("--reload", True), ("--no-reload", False)])
def test_reload_is_asked_for_refused_or_left_to_the_terminal(serve, typed, reload):
    cli.main(["serve", *typed.split()])
    assert serve.options.reload is reload


def test_nothing_typed_is_nothing_changed(command):
    assert cli.main(["loopback"]) == 0
    assert command.options == FakeOptions()


def test_every_option_arrives_as_it_was_typed(command):
    typed = "loopback --in-process --play-from a.wav --duration 2.5 --record-to b.wav --limit gaps=2"
    typed += " --limit snr_db=9 --json --junit r.xml --repeat 20"
    assert cli.main(typed.split()) == 0
    assert command.options == FakeOptions(
        in_process=True,
        play_from=Path("a.wav"),
        duration=2.5,
        record_to=Path("b.wav"),
        limits=("gaps=2", "snr_db=9"),
        json=True,
        junit=Path("r.xml"),
        repeat=20,
    )


@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.FAILED, ExitCode.INCONCLUSIVE])
def test_the_commands_exit_code_is_the_programs(command, code):
    command.end = code
    assert cli.main(["loopback"]) == code


def test_an_error_of_ours_is_words_and_its_exit_code(command, capsys):
    command.end = CannotRun("the port is taken", hint="end the other server")
    assert cli.main(["loopback"]) == ExitCode.CANNOT_RUN
    assert capsys.readouterr() == ("", "error: the port is taken\n\nhint: end the other server\n")


def test_an_interrupt_is_quiet(command, capsys):
    command.end = KeyboardInterrupt()
    assert cli.main(["loopback"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("bug", [ZeroDivisionError("x"), BrokenPipeError("a socket"), OSError("y")])
def test_a_bug_keeps_its_traceback_and_says_whose_it_is(command, capsys, bug):
    command.end = bug
    assert cli.main(["loopback"]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback (most recent call last):")
    assert type(bug).__name__ in err
    assert "error: this is a bug in smallrtc, not in what you typed" in err


@pytest.mark.parametrize(
    ("typed", "sentence", "hint"),
    [
        ("loopbak", "no such command `loopbak`", "did you mean `loopback`?"),
        ("nothing", "no such command `nothing`", "`smallrtc --help` lists what there is"),
        ("serve --port 70000", "invalid value for `--port`", "`smallrtc serve --help` lists"),
        ("serve --port -1", "invalid value for `--port`", "`smallrtc serve --help` lists"),
        ("serve --max-sessions 0", "invalid value for `--max-sessions`", "`smallrtc serve --help` lists"),
        ("serve --reload-delay -1", "invalid value for `--reload-delay`", "`smallrtc serve --help` lists"),
        ("serve --ice-policy none", "`--ice-policy none` is no policy", "it is `all` or `relay`"),
        ("serve bot.py --voice amy", "no such option: `--voice`", "`smallrtc serve --help` lists"),
        ("serve bot.py amy", "got unexpected extra argument `amy`", "`smallrtc serve --help` lists"),
        ("serve --reloaded", "no such option: `--reloaded`", "did you mean `--"),
        ("--verson", "no such option: `--verson`", "`--version`?"),
        ("--bogus", "no such option: `--bogus`", "`smallrtc --help` lists what there is"),
        ("loopback --bogus", "no such option: `--bogus`", "`smallrtc loopback --help` lists what there is"),
        ("loopback --repeats 3", "no such option: `--repeats`", "`--repeat`?"),
        ("loopback --rep 3", "no such option: `--rep`", "`--repeat`?"),
        ("loopback --duration", "`--duration` requires an argument", "`smallrtc loopback --help` lists"),
        ("loopback --json=1", "`--json` does not take a value", "`smallrtc loopback --help` lists"),
        ("loopback extra", "got unexpected extra argument `extra`", "`smallrtc loopback --help` lists"),
        ("loopback --repeat 0", "`--repeat 0` is no number of runs", "give a whole number from 1 to 1000"),
        ("loopback --repeat 1001", "`--repeat 1001` is no number of runs", "from 1 to 1000"),
        ("loopback --repeat 1.5", "`--repeat 1.5` is no number of runs", "from 1 to 1000"),
        ("loopback --duration nan", "`--duration nan` is no duration", "from 1.5 to 600; 3 are the default"),
        ("loopback --duration -1", "`--duration -1` is no duration", "from 1.5 to 600; 3 are the default"),
        ("loopback --duration 1.4", "`--duration 1.4` is no duration", "from 1.5 to 600; 3 are the default"),
        ("loopback --duration 601", "`--duration 601` is no duration", "from 1.5 to 600; 3 are the default"),
    ],
)
def test_a_mistyped_line_is_answered_in_our_style(command, capsys, typed, sentence, hint):
    assert cli.main(typed.split()) == ExitCode.USAGE
    out, err = capsys.readouterr()
    first, blank, last = err.splitlines()
    assert out == blank == ""
    assert first.startswith("error: ")
    assert sentence in first
    assert last.startswith("hint: ")
    assert hint in last
    assert command.options is None


def test_no_command_is_a_usage_error_that_shows_the_help(capsys):
    assert cli.main([]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: smallrtc ")


@pytest.mark.parametrize(
    ("typed", "level"),
    [
        ("loopback", logging.WARNING),
        ("-v loopback", logging.INFO),
        ("loopback -v", logging.INFO),
        ("-v loopback --verbose", logging.DEBUG),
        ("loopback -vv", logging.DEBUG),
    ],
)
def test_verbosity_counts_before_the_command_and_after_it(command, typed, level):
    assert cli.main(typed.split()) == 0
    assert logging.getLogger("smallrtc_cli").level == level


def test_the_version_is_one_line(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr() == (f"smallrtc {smallrtc_cli.__version__}\n", "")


COMMANDS = sorted(typer.main.get_command(cli.app).commands)


@pytest.mark.parametrize("typed", [f"{command} {option}" for command in ["", *COMMANDS] for option in ("--help", "-h")])
def test_help_goes_to_stdout_and_ends_with_examples(capsys, typed):
    assert cli.main(typed.split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.strip().splitlines()[-1].startswith("    smallrtc ")
    assert "Examples:" in out


def test_help_names_every_limit_with_its_default(capsys):
    cli.main(["loopback", "--help"])
    out = capsys.readouterr().out
    for limit in LIMITS:
        line = next(line for line in out.splitlines() if line.split()[:1] == [limit.name])
        assert str(limit) in line


@pytest.mark.parametrize("typed", [[], *([command] for command in COMMANDS)])
def test_help_fits_eighty_columns(capsys, typed):
    cli.main([*typed, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_in_a_narrow_terminal_the_meaning_of_a_limit_goes_below_it():
    code = "import os; os.environ['COLUMNS'] = '50'; from smallrtc_cli.cli import main; main(['loopback', '-h'])"
    help_ = _python(code, stdout=subprocess.PIPE).stdout
    lines = help_.partition("Limits")[2].partition("Examples:")[0].splitlines()
    assert max(map(len, lines)) <= 50
    at = next(number for number, line in enumerate(lines) if line.split()[:1] == ["snr_db"])
    assert (lines[at].split(), lines[at + 1].strip()) == (["snr_db", "≥", "15", "dB"], "sound: signal to noise")


def test_help_tells_the_range_and_the_default_of_the_duration(capsys):
    cli.main(["loopback", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "for this many seconds, 1.5 to 600. Default: 3" in words


def _examples():
    """What is typed, of the command lines at the end of each help; without what the shell does with the output."""
    for typed in ([], *([command] for command in COMMANDS)):
        shown = _smallrtc(*typed, "--help", stdout=subprocess.PIPE).stdout.partition("Examples:")[2]
        for line in shown.replace("\\\n", "").splitlines():
            if line.strip().startswith("smallrtc "):
                yield shlex.split(re.split(r" [>|] ", line)[0])[1:]


class FakeCommand:
    """Stands in for any other command: keeps what it was called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, options):
        self.calls.append(options)
        return ExitCode.OK


@pytest.fixture
def others(monkeypatch):
    fake = FakeCommand()
    for name in ("connect.run", "devices", "doctor.run", "probe_mtu.run"):
        monkeypatch.setattr(f"smallrtc_cli.commands.{name}.run", fake)
    return fake


def test_every_example_of_the_help_works(command, serve, others):
    examples = list(_examples())
    for example in examples:
        assert cli.main(example) == (ExitCode.INTERRUPTED if "serve" in example else 0), example
    assert serve.options.json_lines
    told = [name for name in COMMANDS if sum(name in example[:2] for example in examples) < 2]
    assert told == []
    assert len(others.calls) >= 12


@pytest.mark.parametrize("typed", ["--help", "--version", *(f"{command} --help" for command in COMMANDS)])
def test_help_and_version_load_nothing_heavy(typed):
    code = "import sys; from smallrtc_cli.cli import main; main(); print(*sys.modules, file=sys.stderr)"
    done = _python(code, *typed.split(), capture_output=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_help_does_not_wait_for_rich():
    code = "import sys; from smallrtc_cli.cli import main; main(); print(*sys.modules, file=sys.stderr)"
    done = _python(code, "--help", capture_output=True)
    assert not {"rich", "pydantic"} & set(done.stderr.split())


def test_the_module_is_the_program():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "smallrtc_cli", "loopback", "--nope"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith("error: no such option: `--nope`\n\nhint: ")


@pytest.mark.parametrize("typed", ["--help", "--version"])
def test_a_reader_that_has_gone_is_no_reason_to_complain(typed):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = _smallrtc(typed, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.FAILED, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("typed", ["--help", "loopback --help", "--version"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_is_said_and_no_bug(typed, buffered):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": buffered}
    command = [sys.executable, "-m", "smallrtc_cli", *typed.split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=50, check=False
        )
    assert done.returncode == ExitCode.CANNOT_RUN
    assert done.stderr == "error: stdout cannot be written: no space left on device\n\nhint: is the disk full?\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("typed", ["loopback --repeat 0", "--bogus"])
def test_an_error_that_cannot_be_said_keeps_its_exit_code(typed):
    with Path("/dev/full").open("w") as full:
        done = _smallrtc(*typed.split(), stdout=subprocess.PIPE, stderr=full)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")


@pytest.mark.parametrize(
    ("typed", "closed", "code"),
    [("--version", ">&-", 0), ("loopback --repeat 0", "2>&-", 2), ("--version", "2>&- >&-", 0), ("-h", ">&-", 0)],
)
def test_closed_streams_are_as_good_as_dev_null(typed, closed, code):
    line = f"{sys.executable} -m smallrtc_cli {typed} {closed}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_a_terminal_without_unicode_gets_help_all_the_same():
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "smallrtc_cli", "loopback", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0
    assert b"round_trip_p95_ms" in done.stdout


def test_the_shell_gets_its_completions():
    environment = {"_SMALLRTC_COMPLETE": "complete_bash", "COMP_WORDS": "smallrtc loo", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "smallrtc_cli"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout.split() == ["loopback"]
