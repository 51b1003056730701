"""What the path of a call carries in one piece, as its probe finds it, and whether the chunks in use get through."""

from dataclasses import dataclass
from typing import Final

from smallrtc_cli.commands.doctor.bounds import STEP, Tried, tried
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol.mtu import Outcome
from smallrtc_cli.report.stages import Mark, Stage, skipped
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.path import Limit, PathReport

NAME: Final = "mtu"

_LEAST: Final = 1280
"Bytes in an IP packet: aiortc's chunks and video packets of today fit, those of older releases do not below it."


@dataclass(frozen=True, slots=True)
class Probed:
    """A finding, and the user bytes of the chunks that are in use."""

    report: PathReport
    chunk: int


async def path_stage(connection: SmallWebRTCConnection) -> Stage:
    """The path of a connection that is up."""
    return judge(await tried(_probed(connection)))


async def _probed(connection: SmallWebRTCConnection) -> Probed:
    await connection.wait_for(lambda: connection.peer.path is not None)
    report, path = await connection.probe_path(), connection.peer.path
    if path is None:
        raise ConnectionEnded("the call ended while its path was probed")
    return Probed(report, path.chunk)


def judge(probed: Tried[Probed]) -> Stage:
    """A limit is fine as long as one knows of it: what is set to more than the path carries is not."""
    if probed.value is None:
        if isinstance(probed.error, TimeoutError):
            return skipped(NAME, "path MTU", f"a data channel and an answer within {STEP:g} s")
        return Stage(NAME, Mark.WARN, f"the path was not probed: {probed.error}", "call again", probed.seconds)
    return _judge(probed.value, probed.seconds)


def _judge(probed: Probed, seconds: float) -> Stage:
    report, chunk = probed.report, probed.chunk
    if report.mtu is None:
        if report.finding.outcome is Outcome.BELOW and report.method == "sctp":
            cure = "a tunnel in between carries next to nothing: large messages cannot get through"
            return Stage(NAME, Mark.FAIL, "the path MTU is below 576", cure, seconds)
        return Stage(NAME, Mark.OK, f"the path does not tell its MTU, chunk {chunk}", None, seconds)
    carried = f"{report.mtu} ({report.limit.words})" if report.finding.refused else f"at least {report.mtu}"
    detail = f"the path MTU is {carried}, chunk {chunk}"
    if report.chunk is not None and chunk > report.chunk:
        mark = Mark.WARN if report.pieces_pass and report.limit is not Limit.BLACK_HOLE else Mark.FAIL
        cure = f"{report.chunk} passes: unset the chunk size that is set, and each connection takes what fits"
        return Stage(NAME, mark, detail, cure, seconds)
    if report.mtu < _LEAST:
        cure = f"programs that do not probe stall: `PIPECAT_SCTP_MAX_CHUNK_SIZE={report.chunk}`, or find the tunnel"
        return Stage(NAME, Mark.WARN, detail, cure, seconds)
    return Stage(NAME, Mark.OK, detail, None, seconds)
