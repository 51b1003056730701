"""What holds for every test: under CI=true a skip is a failure, and logging is left as it was found."""

import importlib.util
import logging
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pipecat_server import PipecatServer

_OURS = ("smallrtc_cli", "aiortc", "aioice")


def pytest_configure(config: pytest.Config) -> None:
    """Where the tests run in the background (`&`, nohup) their programs would be deaf to Ctrl-C and to a hang-up."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    config.pluginmanager.register(_SkipRule(), "skip-rule")


class _SkipRule:
    """Counts the tests and files that were skipped; an expected failure (xfail) is none of them."""

    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped and os.environ.get("CI") == "true":
            terminalreporter.section("skipped, which CI=true does not allow")
            for nodeid in self._skipped:
                terminalreporter.line(nodeid)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """The command line sends records to the stderr of one test; the next has another."""
    loggers = [logging.getLogger(name) for name in _OURS]
    before = [(logger, logger.level, logger.propagate, [*logger.handlers]) for logger in loggers]
    yield
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def pipecat_runner() -> "Iterator[PipecatServer]":
    """Pipecat's own runner with an echo bot; it takes seconds to start, and so it is one for all tests."""
    if importlib.util.find_spec("pipecat") is None:
        pytest.skip("needs pipecat-ai[webrtc,runner]")
    from pipecat_server import pipecat_server  # this file is copied to where there is none, too

    with pipecat_server() as server:
        yield server
