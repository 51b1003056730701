"""The built-in bot that plays a tone."""

import asyncio

import numpy as np
import pytest
from calls import SOUND, answering, dialed, until

from smallrtc_cli.bots.tone import LEVEL, PITCH, RATE, pieces, tone
from smallrtc_cli.rtc.transport import SmallWebRTCTransport


def pitch(sound, rate):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return spectrum.argmax() * rate / len(sound)


def test_a_second_of_it_can_be_repeated_without_a_click():
    sound = np.concatenate([np.frombuffer(piece.audio, "<i2") for piece in pieces()] * 2).astype(float)
    steepest = np.abs(np.diff(sound)).max()
    assert abs(sound[RATE] - sound[RATE - 1]) <= steepest
    assert len(sound) == 2 * RATE
    assert steepest < 2 * np.pi * PITCH / RATE * np.abs(sound).max() * 1.05
    level = 20 * np.log10(np.sqrt(np.mean(sound**2)) / 32_768)
    assert LEVEL - 4 < level < LEVEL


async def test_the_caller_hears_it_at_its_pitch_and_the_bot_ends_with_the_call():
    async with answering(tone) as server:
        async with dialed(server.supervisor) as (_, connection):
            transport, heard = SmallWebRTCTransport(connection, SOUND), []
            async with asyncio.timeout(15):
                async for frame in transport.input():
                    heard.append(np.frombuffer(frame.audio, "<i2"))
                    if sum(map(len, heard)) > 24_000:
                        break
        assert pitch(np.concatenate(heard)[-16_000:].astype(float), 16_000) == pytest.approx(PITCH, abs=2)
        await until(lambda: not server.supervisor.sessions)
