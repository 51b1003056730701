"""What size of packet the path of a call carries."""

from typing import Final

from smallrtc_cli.report.stages import Mark, Stage
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.route import route
from smallrtc_cli.rtc.stats import of_type, stats

NAME: Final = "mtu"

_LEAST: Final = 1280
"Bytes in an IP packet: aiortc's chunks and video packets of today fit, those of older releases do not below it."


# The seam: from here on a measurement of the path itself is to take the place of what the kernel knows.
async def path_stage(connection: SmallWebRTCConnection) -> Stage:
    """The path of a connection that is up."""
    report = await stats(connection)
    relayed = any(local["candidateType"] == "relay" for local in of_type(report, "local-candidate"))
    remotes = [] if relayed else of_type(report, "remote-candidate")  # of a relay the kernel knows the way to it alone
    ways = [route(remote["address"], remote["port"]) for remote in remotes]
    return judge(next((way.mtu for way in ways if way is not None), None))


def judge(mtu: int | None) -> Stage:
    """From what the kernel knows: an upper bound, as a path that swallows large packets tells nobody."""
    if mtu is None:
        return Stage(NAME, Mark.OK, "the path MTU is not known: the kernel tells nothing of this path")
    detail = f"the path MTU is {mtu} as far as the kernel knows"
    if mtu < _LEAST:
        return Stage(NAME, Mark.WARN, detail, "messages above a kilobyte may stall: is a VPN or a tunnel in between?")
    return Stage(NAME, Mark.OK, detail)
