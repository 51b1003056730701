"""The package as others see it: public names, weight, version; and the rules that its repository keeps."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import smallrtc_cli

ROOT = Path(smallrtc_cli.__file__).parents[1]
HEAVY = {"aiortc", "aioice", "av", "numpy", "aiohttp", "sounddevice", "rich", "typer"}
NAMES = [name for name in smallrtc_cli.__all__ if name != "__version__"]


def _python(*arguments, **environment):
    variables = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    variables |= {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=50, check=False)


def test_importing_the_package_loads_nothing_heavy():
    done = _python("-c", "import sys, smallrtc_cli; print(*sys.modules)")
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "smallrtc_cli" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there(name):
    assert getattr(smallrtc_cli, name) is not None


def test_a_name_is_loaded_once():
    assert smallrtc_cli.SmallRTCError is vars(smallrtc_cli)["SmallRTCError"]


def test_the_public_names_are_listed():
    assert set(smallrtc_cli.__all__) <= set(dir(smallrtc_cli))
    assert sorted(set(NAMES)) == sorted(NAMES)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'smallrtc_cli' has no attribute 'Nothing'"):
        _ = smallrtc_cli.Nothing


def test_the_version_is_the_installed_ones():
    try:
        expected = version("smallrtc-cli")
    except PackageNotFoundError:
        expected = "0+unknown"
    assert smallrtc_cli.__version__ == expected


def test_the_commands_entry_point_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"smallrtc": "smallrtc_cli.cli:main"}


def _session(directory, test, **environment):
    shutil.copy(ROOT / "tests" / "conftest.py", directory)
    (directory / "test_it.py").write_text(f"import pytest\n{test}\n")
    return _python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory), **environment)


SKIPPED = "def test_it():\n    pytest.skip('no card')"
SKIPPED_FILE = "pytest.skip('no card', allow_module_level=True)"
EXPECTED = "@pytest.mark.xfail\ndef test_it():\n    assert False"


@pytest.mark.parametrize("test", [SKIPPED, SKIPPED_FILE])
def test_a_skip_fails_the_run_in_ci(tmp_path, test):
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    done = _session(tmp_path, test, CI="true")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py" in done.stdout.partition("CI=true does not allow")[2]


@pytest.mark.parametrize(("test", "environment"), [(SKIPPED, {}), (EXPECTED, {"CI": "true"})])
def test_a_skip_elsewhere_and_an_expected_failure_are_fine(tmp_path, test, environment):
    assert _session(tmp_path, test, **environment).returncode == pytest.ExitCode.OK


@pytest.mark.parametrize("name", ["scripts/smallrtc", "scripts/test", "scripts/check", ".ci/run"])
def test_a_script_can_be_run_and_read(name):
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", str(path)], timeout=20, check=False).returncode == 0
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
