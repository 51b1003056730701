"""FastRTC is installed when it is asked for: it brings more than all the rest together."""

import subprocess
import sys
import venv

from benchmark.contestants import environment_of_fastrtc


def install() -> None:
    """Into an environment of its own, unless it is there; raises `CalledProcessError`, and pip says why."""
    place = environment_of_fastrtc()
    if (place / "complete").exists():
        return
    venv.create(place, with_pip=True, clear=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "fastrtc"]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    (place / "complete").touch()
