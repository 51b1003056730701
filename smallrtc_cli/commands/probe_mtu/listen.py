"""`probe-mtu --listen`: the other end of a probe, on a host where no server runs."""

import asyncio
import os
import signal

from smallrtc_cli import __version__, console
from smallrtc_cli.bots.silent import silent
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.commands.probe_mtu.options import ProbeOptions
from smallrtc_cli.commands.serve_log import ServeLog
from smallrtc_cli.config import Settings, Timing
from smallrtc_cli.errors import ExitCode
from smallrtc_cli.rtc.addresses import local_interfaces
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.web.door import Door
from smallrtc_cli.web.places import local_names, places
from smallrtc_cli.web.server import SignallingServer
from smallrtc_cli.web.sessions import Sessions

CONNECT_TIMEOUT = 15.0
"Seconds until a peer connection that does not come up is given up."


async def listen(options: ProbeOptions) -> ExitCode:
    """Answer calls with silence until Ctrl-C or SIGTERM; raises `CannotRun` where that address cannot be had."""
    log = ServeLog(console.show if options.json_lines else console.say, as_json=options.json_lines)
    rooms, ice_servers = Sessions(), options.network.servers(os.environ)
    handler = SmallWebRTCRequestHandler(
        ice=options.network.ice(ice_servers), settings=Settings(timing=Timing(connect_timeout=CONNECT_TIMEOUT))
    )
    supervisor = Supervisor(lambda: silent, handler, rooms=rooms, observer=log.session)
    token = options.token or os.environ.get("SMALLRTC_TOKEN")
    server = SignallingServer(
        supervisor, door=Door(token=token, names=local_names(), sessions=rooms, ice_servers=ice_servers)
    )
    try:
        _tell(await server.start(options.host, options.port), options, log)
        await _stopped()
    finally:
        await supervisor.close()
        await server.close()
    return ExitCode.OK


def _tell(url: str, options: ProbeOptions, log: ServeLog) -> None:
    """The URL alone on stdout: the last of them is for other hosts, where there are any."""
    addresses = [address for interface in local_interfaces() for address in interface.addresses]
    found = [place.url for place in places(options.host, int(url.rpartition(":")[2]), addresses=addresses)]
    log.ready(url=url, places=found, version=__version__)
    if not options.json_lines:
        console.show(found[-1])
        console.say(f"answers probes: `smallrtc probe-mtu {found[-1]}` on the other host   Ctrl-C to stop")


async def _stopped() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
