"""What became of left and right: the arrangement of the sent channels that explains the received ones best.

Pure. An arrangement has, for each received channel, the shares of the sent left and right in it.
"""

from enum import StrEnum

import numpy as np

from smallrtc_cli.audio.bands import Floats

DEAD = 1e-2
"A channel whose energy is below this part (-20 dB) of the other's is dead."

SIDE = 0.05
"Of the energy: with less than this between left and right a sound is mono to all purposes."

PLAINER = 0.02
"How much better another arrangement must correlate before it is believed in place of the plain one."

ALIKE = 0.4
"The least correlation of the received channels with an arrangement that is told: noise 7 dB above the sound."

NOTHING, LEFT, RIGHT, BOTH = (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)

Shares = tuple[float, float]


class Channels(StrEnum):
    """What became of left and right."""

    OK = "ok"
    SWAPPED = "swapped"
    MERGED = "merged"
    "Stereo was sent; the same mixture is in both channels."
    ONE_SIDED = "one-sided"
    "One channel is dead, or one of the sent channels is in both and the other is lost."
    MONO = "mono"
    "Nothing to tell: mono was sent, or one channel was received."


def middle(channels: Floats) -> Floats:
    """The mean of the channels, shape `(n,)`; the first one alone where they cancel each other."""
    mean = np.asarray(sum(channels.T)) / channels.shape[1]
    first = channels[:, 0]
    return np.asarray(first if float(mean @ mean) < SIDE * float(first @ first) else mean)


def arrangement(here: Floats, there: Floats) -> tuple[Channels | None, Floats]:
    """What became of the channels, and the matrix that makes the expected sound from the sent stereo.

    `here` and `there` are sent and received sound at the same instants, shapes `(n, 2)` and `(n, c)`; the matrix has
    shape `(2, c)`. Where nothing else is clearly better the first, plainest arrangement is taken; where nothing is
    alike, none.
    """
    fates = _possible(here, there)
    own, cross, energy = here.T @ here, here.T @ there, float(np.sum(there**2))
    matrices = [np.array(shares).T for _, shares in fates]
    likeness = [_likeness(matrix, own, cross, energy) for matrix in matrices]
    best = int(np.argmax(likeness))
    chosen = best if likeness[best] > likeness[0] + PLAINER else 0
    return (fates[chosen][0] if likeness[chosen] >= ALIKE else None), matrices[chosen]


def _possible(here: Floats, there: Floats) -> list[tuple[Channels, tuple[Shares, ...]]]:
    if there.shape[1] == 1:
        return [(Channels.MONO, (shares,)) for shares in (BOTH, LEFT, RIGHT)]
    silent = _dead(there)
    if silent is not None and _dead(here) is None:
        pairs = [(NOTHING, live) if silent == 0 else (live, NOTHING) for live in (BOTH, LEFT, RIGHT)]
        return [(Channels.ONE_SIDED, pair) for pair in pairs]
    if _is_mono(here):
        return [(Channels.MONO, (BOTH, BOTH))]
    return [
        (Channels.OK, (LEFT, RIGHT)),
        (Channels.SWAPPED, (RIGHT, LEFT)),
        (Channels.MERGED, (BOTH, BOTH)),
        (Channels.ONE_SIDED, (LEFT, LEFT)),
        (Channels.ONE_SIDED, (RIGHT, RIGHT)),
    ]


def _dead(stereo: Floats) -> int | None:
    energies = np.sum(stereo**2, axis=0)
    return int(np.argmin(energies)) if energies.min() < DEAD * energies.max() else None


def _is_mono(stereo: Floats) -> bool:
    side = stereo[:, 0] - stereo[:, 1]
    return float(np.sum(side**2)) / 2 < SIDE * float(np.sum(stereo**2))


def _likeness(matrix: Floats, own: Floats, cross: Floats, energy: float) -> float:
    """The correlation of sent channels, mixed by a matrix, with the received: from the products of the channels."""
    scale = float(np.sqrt(np.sum(matrix * (own @ matrix)) * energy))
    return float(np.sum(matrix * cross)) / scale if scale > 0 else 0.0
