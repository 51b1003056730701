"""Microphone and speaker on real sound cards: PulseAudio's, through PortAudio, in a process of their own.

Sound that is played as it comes may break off on a machine that is busy, so it is waited for until it does not.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import until
from sound_cards import RATE, SoundCards, pitch, sound_cards

from smallrtc_cli.audio.signals import tone

ROOT = Path(__file__).parents[2]
HERTZ = 440.0

LISTEN = """
import asyncio, json, sys
import numpy as np
from sound_cards import pitch
from smallrtc_cli.audio.devices import Direction, choose, devices
from smallrtc_cli.audio.microphone import Microphone
from smallrtc_cli.config import Devices

def tell(**event):
    print(json.dumps(event), flush=True)

def change(sentence):
    tell(change=sentence)

async def main():
    device = choose(devices(), "vmic", Direction.INPUT)
    async with Microphone(device, on_change=change, settings=Devices(retry=0.5)) as microphone:
        tell(latency=microphone.latency)
        heard = b""
        async for piece in microphone:
            heard += piece
            if len(heard) >= 48_000:
                sound = np.frombuffer(heard, "<i2")
                tell(pitch=pitch(sound) if sound.any() else 0, overruns=microphone.overruns)
                heard = b""

asyncio.run(main())
"""

SPEAK = """
import asyncio, json, sys
from smallrtc_cli.audio.devices import Direction, choose, devices
from smallrtc_cli.audio.signals import tone
from smallrtc_cli.audio.speaker import Speaker
from smallrtc_cli.config import Devices

def tell(**event):
    print(json.dumps(event), flush=True)

def change(sentence):
    tell(change=sentence)

async def main():
    device = choose(devices(), "vspk", Direction.OUTPUT)
    sound = tone(440, 60, channels=2).tobytes()
    async with Speaker(device, on_change=change, settings=Devices(retry=0.5)) as speaker:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number, start in enumerate(range(0, len(sound), 3840), 1):
            await speaker.write(sound[start : start + 3840])
            tell(delay=speaker.delay)
            await asyncio.sleep(started + number * 0.02 - loop.time())

asyncio.run(main())
"""

GONE = "the microphone `vmic` is gone; the call goes on without it"
BACK = "the microphone `vmic` is back"


class Program:
    """A script in a process of its own, and what it has told."""

    def __init__(self, script: str, cards: SoundCards) -> None:
        path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            env=os.environ | cards.environment | path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_out, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        for line in self.process.stdout or ():
            self.events.append(json.loads(line))

    def _read_errors(self) -> None:
        self.errors.extend(self.process.stderr or ())

    def told(self, name: str) -> list[Any]:
        return [event[name] for event in self.events if name in event]

    def hears(self, hertz: float, since: int = 0) -> bool:
        """Whether half a second of a pitch has come, of those from the number `since` on."""
        assert self.process.poll() is None, self.errors
        return any(abs(each - hertz) < hertz / 100 for each in self.told("pitch")[since:])

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextlib.contextmanager
def program(script: str, cards: SoundCards) -> Iterator[Program]:
    running = Program(script, cards)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def cards(tmp_path) -> Iterator[SoundCards]:
    with sound_cards(tmp_path) as running:
        yield running


def _smooth(path: Path) -> bool:
    """Whether the last half second of stereo is the tone on both sides, without a gap or a click."""
    length = RATE // 2 * 4
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) // 4 * 4
        if end < length:
            return False
        file.seek(end - length)
        heard = np.frombuffer(file.read(length), "<i2").reshape(-1, 2)
    levels = np.sqrt(np.mean(heard.reshape(-1, 480, 2).astype(float) ** 2, axis=1))
    steps = np.abs(np.diff(heard.astype(int), axis=0))
    whole = levels.min() > 0.8 * levels.max() > 1000
    no_click = steps.max() < 1.5 * np.abs(heard).max() * 2 * np.pi * HERTZ / RATE
    return bool(whole and no_click and abs(pitch(heard[:, 0]) - HERTZ) < HERTZ / 100)


async def test_what_is_played_into_the_microphone_is_heard_at_its_pitch(cards):
    with cards.playing(tone(HERTZ, 60)), program(LISTEN, cards) as listening:
        await until(lambda: listening.hears(HERTZ), 30)
    assert 0 < listening.told("latency")[0] < 0.1
    assert listening.errors == []


async def test_the_speaker_plays_at_the_right_pitch_without_a_gap(cards):
    with cards.recording("spk.monitor") as heard, program(SPEAK, cards) as speaking:
        await until(lambda: _smooth(heard), 40)
    assert all(0 < delay < 0.6 for delay in speaking.told("delay"))
    assert speaking.errors == []


@pytest.mark.parametrize("way", ["kill", "freeze"])
async def test_a_sound_server_that_goes_is_told_and_taken_back(cards, way):
    with program(LISTEN, cards) as listening:
        await until(lambda: listening.told("pitch"), 30)
        getattr(cards, way)()
        await until(lambda: listening.told("change")[-1:] == [GONE], 30)
        cards.kill()
        cards.start()
        await until(lambda: listening.told("change")[-1:] == [BACK], 50)
        with cards.playing(tone(HERTZ, 60)):
            await until(lambda: listening.hears(HERTZ), 30)
    told = listening.told("change")
    assert told == [GONE, BACK] * (len(told) // 2), "a machine that is busy may lose it more than once"
    assert listening.errors == [], "PortAudio's own thread complains when a device dies"


async def test_a_sound_server_that_is_frozen_from_the_start_is_said(cards):
    cards.freeze()
    script = "from smallrtc_cli.audio.devices import *; from smallrtc_cli.config import Devices\n"
    with program(script + "devices(Devices(answer_timeout=1))", cards) as listing:
        await until(lambda: listing.process.poll() is not None, 30)
    assert listing.errors[-1].endswith("AudioUnavailable: the sound system does not answer\n")


async def test_a_card_that_is_unplugged_beside_another_is_played_on_and_the_last_one_is_told_and_taken_back(cards):
    gone, back = "the speaker `vspk` is gone; the call goes on without it", "the speaker `vspk` is back"
    with program(SPEAK, cards) as speaking:
        await until(lambda: speaking.told("delay"), 30)
        cards.remove("micbus")
        cards.add("micbus")
        with cards.recording("spk.monitor") as heard:
            await until(lambda: _smooth(heard), 40)
        assert speaking.told("change")[-1:] != [gone]
        cards.remove("micbus")
        cards.remove("spk")
        await until(lambda: speaking.told("change")[-1:] == [gone], 30)
        cards.add("spk")
        await until(lambda: speaking.told("change")[-1:] == [back], 50)
        with cards.recording("spk.monitor") as heard:
            await until(lambda: _smooth(heard), 40)
    assert speaking.errors == []
