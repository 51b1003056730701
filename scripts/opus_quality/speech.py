"""What is said: mono at 48 kHz, several voices, some seconds each."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opus_quality.sender import RATE
from smallrtc_cli.audio.files import read

_SENTENCES = {
    "en-us+m3": "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.",
    "en-us+f3": "It is easy to tell the depth of a well. These days a chicken leg is a rare dish.",
    "en-gb": "Rice is often served in round bowls. The juice of lemons makes fine punch.",
    "en-gb+f2": "The box was thrown beside the parked truck. Four hours of steady work faced us.",
    "de+m1": "Am blauen Himmel ziehen die Wolken. Frische Gardinen hängen am Fenster.",
    "fr+f1": "Le chat dort sur le tapis du salon. Il fait très beau ce matin au bord de la mer.",
}
"By espeak-ng voice; English: the Harvard sentences, German: the Marburg ones."

_LEVEL = 10 ** (-26 / 20) * 32768
"RMS that everything is brought to: the -26 dB below overload of ITU-T P.830."

_LONGEST = 8 * RATE


@dataclass(frozen=True)
class Clip:
    """Speech of one voice; `recorded` or made."""

    name: str
    recorded: bool
    samples: NDArray[np.int16]


def clips(recordings: Path) -> list[Clip]:
    """All there is; the recordings as `scripts/opus-quality` fetched them."""
    made = [Clip(voice, False, _levelled(_spoken(voice, text))) for voice, text in _SENTENCES.items()]
    books = [Clip(path.stem, True, _levelled(read(path, RATE, 1))) for path in sorted(recordings.glob("sense*.wav"))]
    words = [read(path, RATE, 1) for path in sorted(recordings.glob("*_*.wav")) if not path.stem.startswith("sense")]
    halves = [words[: len(words) // 2], words[len(words) // 2 :]]
    said = [Clip(f"words {n}", True, _levelled(np.concatenate(half))) for n, half in enumerate(halves, 1) if half]
    return made + books + said


def _spoken(voice: str, text: str) -> NDArray[np.int16]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        subprocess.run(["espeak-ng", "-v", voice, "-w", path, text], check=True)
        return read(path, RATE, 1)


def _levelled(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    samples = samples[:_LONGEST]
    loud = samples.astype(float) * _LEVEL / np.sqrt(np.mean(samples.astype(float) ** 2))
    return loud.round().clip(-32768, 32767).astype(np.int16)
