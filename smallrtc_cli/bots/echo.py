"""The built-in bot that says back what it hears."""

from typing import Any

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams


def params(channels: int) -> TransportParams:
    """48 kHz, as it comes off the wire: an echo loses nothing that the codec has not lost, and leaves when it comes."""
    return TransportParams(
        audio_in_enabled=True,
        audio_in_sample_rate=48_000,
        audio_in_channels=channels,
        audio_out_enabled=True,
        audio_out_sample_rate=48_000,
        audio_out_channels=channels,
        audio_out_live=True,
    )


async def echo(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Send back all sound, and every application message that is not RTVI, unchanged."""
    connection = runner_args.webrtc_connection
    transport = SmallWebRTCTransport(connection, params(channels=2 if connection.sends_stereo else 1))

    @transport.event_handler("on_app_message")
    async def on_app_message(transport: SmallWebRTCTransport, message: dict[str, Any], sender: str) -> None:  # noqa: ARG001
        if not rtvi.is_rtvi(message):
            await transport.send_message(message)

    async for frame in transport.input():
        await transport.output().write(frame)
