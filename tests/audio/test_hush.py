import ctypes
import logging
import os
import subprocess
import sys
import threading

import pytest

from smallrtc_cli.audio.hush import Hush

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="needs glibc"
)


def _complain(text):
    """As a C library does."""
    libc = ctypes.CDLL(None)
    libc.fputs(text.encode(), ctypes.c_void_p.in_dll(libc, "stderr"))


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "smallrtc_cli.audio.hush")
    return caplog


def test_what_c_writes_goes_to_the_debug_log_and_not_to_the_terminal(capfd, log):
    with Hush():
        _complain("ALSA lib pcm.c:1:(f) Unknown PCM\nExpression 'x' failed\n\n")
    assert capfd.readouterr().err == ""
    assert log.messages == ["ALSA lib pcm.c:1:(f) Unknown PCM", "Expression 'x' failed"]
    assert {record.levelno for record in log.records} == {logging.DEBUG}


def test_behind_it_c_has_its_stderr_again_even_after_an_error(capfd, log):
    hush = Hush()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), hush:
            raise ZeroDivisionError
        _complain("a library\n")
    assert capfd.readouterr().err == "a library\n" * 2
    assert log.messages == []


def test_what_others_write_to_stderr_is_left_alone(capfd, log):
    with Hush():
        os.write(2, b"a view\n")
        subprocess.run(["sh", "-c", "echo a program >&2"], check=True, timeout=20)
    assert capfd.readouterr().err == "a view\na program\n"
    assert log.messages == []


def test_the_last_to_leave_ends_it_on_whatever_thread(capfd, log):
    hush = Hush()
    hush.__enter__()
    thread = threading.Thread(target=lambda: hush.__enter__() and _complain("one\n"))
    thread.start()
    thread.join(20)
    hush.__exit__(None, None, None)
    _complain("two\n")
    assert capfd.readouterr().err == ""
    hush.__exit__(None, None, None)
    _complain("three\n")
    assert capfd.readouterr().err == "three\n"
    assert log.messages == ["one", "two"]


def test_more_than_a_pipe_holds_is_lost_and_blocks_nobody(log):
    hush = Hush()
    with hush:
        for _ in range(3000):
            _complain("ALSA lib pcm.c:8432:(snd_pcm_recover) underrun occurred\n")
    assert 100 < len(log.messages) < 3000
    log.clear()
    with hush:
        _complain("and now\n")
    assert log.messages[-1] == "and now"
