"""The command line: one file for each command's options, `app` for what they share, `main` for how it ends.

A command's own module is imported when the command is called, so that `--help` and completion load neither aiortc nor
av, numpy or aiohttp.
"""

from smallrtc_cli.cli import connect, devices, doctor, loopback, probe_mtu, serve
from smallrtc_cli.cli.app import app
from smallrtc_cli.cli.main import main

__all__ = ["app", "connect", "devices", "doctor", "loopback", "main", "probe_mtu", "serve"]
