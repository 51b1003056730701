"""Where libopus is found, in which order, and what is told when it is not the first choice."""

import logging
from types import SimpleNamespace

import pytest

from smallrtc_cli.audio import libopus


@pytest.fixture(autouse=True)
def _afresh():
    """Each test loads for itself, and leaves nothing to the next."""
    libopus.load.cache_clear()
    yield
    libopus.load.cache_clear()


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """An installed PyAV, whose library folders are still to be filled; returns a function that puts a file there."""
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "av")])
    monkeypatch.setattr(libopus.importlib.util, "find_spec", lambda _name: spec)

    def put(path):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return str(file)

    return put


def _opening(monkeypatch, *names):
    """Only these can be loaded."""
    monkeypatch.setattr(libopus, "_opened", lambda name: name if name in names else None)


def _first(monkeypatch):
    """Whatever comes first can be loaded."""
    monkeypatch.setattr(libopus, "_opened", lambda name: name)


@pytest.mark.parametrize(
    "path",
    [
        "av.libs/libopus-114e2b1a.so.0.11.1",
        "av.libs/libopus-0-1f3ac29bd2f1ad09.dll",
        "av.libs/opus-5f0cb1d0.dll",
        "av/.dylibs/libopus.0.dylib",
    ],
)
def test_what_a_wheel_brings_is_found_on_every_system(wheel, monkeypatch, caplog, path):
    expected = wheel(path)
    _first(monkeypatch)
    with caplog.at_level(logging.INFO):
        assert libopus.load() == expected
    assert not caplog.records


def test_other_libraries_beside_it_are_left_alone(wheel, monkeypatch):
    for name in ("libopusenc.so.0", "libopusfile.so.0", "libopus.txt", "libvpx-9.so.12"):
        wheel(f"av.libs/{name}")
    monkeypatch.setattr(libopus.sys, "platform", "linux")
    _first(monkeypatch)
    assert libopus.load() == "libopus.so.0"


def test_the_systems_library_is_second_and_is_told_once(wheel, monkeypatch, caplog):
    wheel("av.libs/libopus-114e2b1a.so.0.11.1")
    monkeypatch.setattr(libopus.sys, "platform", "linux")
    _opening(monkeypatch, "libopus.so.0")
    with caplog.at_level(logging.INFO):
        assert libopus.load() == libopus.load() == "libopus.so.0"
    assert caplog.messages == ["PyAV brings no libopus of its own; the system's `libopus.so.0` is used"]


def test_elsewhere_the_systems_library_is_asked_for(monkeypatch):
    monkeypatch.setattr(libopus.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(libopus.sys, "platform", "darwin")
    monkeypatch.setattr(libopus.ctypes.util, "find_library", lambda name: f"found/lib{name}.dylib")
    _first(monkeypatch)
    assert libopus.load() == "found/libopus.dylib"


def test_that_there_is_none_is_told_once(wheel, monkeypatch, caplog):
    _opening(monkeypatch)
    with caplog.at_level(logging.INFO):
        assert libopus.load() is libopus.load() is None
    assert [(record.levelname, "PyAV" in record.getMessage()) for record in caplog.records] == [("INFO", True)]


def test_a_file_that_is_no_library_is_passed_over(wheel, monkeypatch):
    path = wheel("av.libs/libopus-114e2b1a.so.0.11.1")
    monkeypatch.setattr(libopus, "_places", lambda: iter([(path, "PyAV")]))
    assert libopus.load() is None


def test_a_library_without_its_functions_is_passed_over(monkeypatch):
    monkeypatch.setattr(libopus, "_SIGNATURES", {"opus_does_not_have_this": (int, [])})
    assert libopus.load() is None


def test_here_it_is_found_and_says_its_version():
    library = libopus.load()
    assert library is not None
    assert libopus.version(library).startswith("libopus 1.")
