"""Which modules are the bot's own, and what becomes of them in a fresh load."""

import sys
from pathlib import Path

import pytest

from smallrtc_cli.bots.modules import fresh_modules, is_own, own_modules


@pytest.fixture(autouse=True)
def _imports_as_they_were():
    path, modules = [*sys.path], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "file", "own"),
    [
        ("helper", "/bots/helper.py", True),
        ("package.part", "/bots/package/part.py", True),
        ("elsewhere", "/other/helper.py", False),
        ("native", "/bots/native.so", False),
        ("built_in", None, False),
        ("numpy", "/bots/.venv/lib/python3.11/site-packages/numpy/__init__.py", False),
        ("json", "/usr/lib/python3.11/json/__init__.py", False),
        ("smallrtc_cli.errors", "/bots/smallrtc_cli/errors.py", False),
        ("__main__", "/bots/helper.py", False),
    ],
)
def test_source_code_in_the_folders_is_own(name, file, own):
    assert is_own(name, file, [Path("/bots")], installed=[Path("/usr/lib/python3.11")]) is own


def test_nothing_that_is_installed_is_own_wherever_the_bot_lies():
    names = own_modules([Path("/")])
    assert not {"asyncio", "numpy", "pytest", "smallrtc_cli.errors"} & set(names)


def test_a_fresh_load_imports_anew_and_the_old_module_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    sys.path.insert(0, str(tmp_path))
    helper = tmp_path / "helper_of_this_test.py"
    helper.write_text("WORD = 1\ndef say(): return WORD\n")
    with fresh_modules([tmp_path]):
        import helper_of_this_test as old
    helper.write_text("WORD = 2\ndef say(): return WORD\n")  # as long, and within the same second
    with fresh_modules([tmp_path]):
        import helper_of_this_test as new
    assert (old.say(), new.say()) == (1, 2)
    assert sys.modules["helper_of_this_test"] is new
    assert not sys.dont_write_bytecode


def test_a_load_that_fails_leaves_everything_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    sys.path.insert(0, str(tmp_path))
    helper = tmp_path / "other_helper_of_this_test.py"
    helper.write_text("WORD = 1\n")
    import other_helper_of_this_test as old

    (tmp_path / "late_helper_of_this_test.py").write_text("")
    helper.write_text("WORD = 2\n")
    with pytest.raises(ZeroDivisionError), fresh_modules([tmp_path]):  # noqa: PT012
        import late_helper_of_this_test  # noqa: F401
        import other_helper_of_this_test  # noqa: F401

        1 / 0  # noqa: B018
    assert sys.modules["other_helper_of_this_test"] is old
    assert "late_helper_of_this_test" not in sys.modules
    assert not sys.dont_write_bytecode
