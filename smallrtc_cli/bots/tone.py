"""The built-in bot that plays a tone: is anything heard at all, and at the right pitch?"""

import asyncio
from itertools import cycle

import numpy as np

from smallrtc_cli.audio.pcm import OutputAudioRawFrame
from smallrtc_cli.audio.signals import tone as sine
from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

RATE = 48_000
PITCH = 440.0
LEVEL = -24.0
"dBFS RMS: clearly heard, and not startling."

FRAME = RATE // 50

PARAMS = TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE)


async def tone(runner_args: SmallWebRTCRunnerArguments) -> None:
    """Play a tone of 440 Hz that swells and fades once a second, but never to silence, until the client is gone."""
    transport = SmallWebRTCTransport(runner_args.webrtc_connection, PARAMS)
    playing = asyncio.create_task(_play(transport))
    try:
        await transport.wait_closed()
    finally:
        playing.cancel()
        await asyncio.wait({playing})


async def _play(transport: SmallWebRTCTransport) -> None:
    for piece in cycle(pieces()):
        await transport.output().write(piece)


def pieces() -> list[OutputAudioRawFrame]:
    """One second in pieces of 20 ms, which may be repeated: 440 whole periods, one swell."""
    sound = sine(PITCH, 1.0, rate=RATE, level=LEVEL)[:, 0]
    swell = 0.75 - 0.25 * np.cos(2 * np.pi * np.arange(RATE) / RATE)
    shaped = np.round(sound * swell).astype("<i2")
    return [OutputAudioRawFrame(shaped[at : at + FRAME].tobytes(), RATE, 1) for at in range(0, RATE, FRAME)]
