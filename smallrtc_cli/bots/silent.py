"""The built-in bot that says nothing: it keeps the line open for somebody who measures the path."""

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.rtc.transport import SmallWebRTCTransport


async def silent(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Stay until the client is gone; the connection answers questions about its path by itself."""
    await SmallWebRTCTransport(runner_args.webrtc_connection).wait_closed()
