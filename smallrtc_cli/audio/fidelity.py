"""How much like the sent sound the received one is: level, noise, and stretches that went silent.

Pure; works on band-limited channels (`bands.in_band`) and an `Alignment`. What noise is: see `quality`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli.audio.alignment import BLOCK, Alignment, Block
from smallrtc_cli.audio.bands import BAND_RATE, Floats, at_positions
from smallrtc_cli.audio.channels import Channels, arrangement

TAPS = 32
"2 ms of filter that a path may put on the sound without its being noise: a codec's band edges, half a sample."

SETTLED = BAND_RATE // 100
"10 ms around a step or a gap that are not judged: a decoder fades there."

RECOVERY = BAND_RATE * 30 // 1000
"30 ms after a loss that are not judged: a packet that is decoded without the one before it comes out weak."

MOST = 256
"Blocks that are judged: 30 s of sound; of a longer sound every second, third, ..."

WINDOW = BAND_RATE * 3 // 1000
"3 ms: the envelope's window."

SHORTEST = BAND_RATE * 5 // 1000
"A gap is at least 5 ms long."

SILENT = 0.02
"Of the expected power (-17 dB): two passes through Opus put noise back into a gap."

LOUD = 1e-2
"Of the mean power of the louder half: where the sent sound is weaker, nothing can go silent."


@dataclass(frozen=True, slots=True)
class Quality:
    """Energies of the judged blocks over all received channels: signal, noise, and what should have come."""

    channels: Channels | None
    matrix: Floats
    "Shares of the sent left and right in each received channel, shape `(2, channels)`."
    signal: float
    noise: float
    expected: float


def settled_blocks(alignment: Alignment, silent: list[tuple[int, int]]) -> list[Block]:
    """Located blocks, spread over the sound, that do not overlap each other, a step or a gap."""
    disturbed = disturbances(alignment, silent)
    kept: list[Block] = []
    for block in alignment.blocks:
        free = not kept or block.sent - kept[-1].sent >= BLOCK
        if free and not overlaps(int(block.sent - BLOCK / 2), disturbed):
            kept.append(block)
    return kept[:: 1 + len(kept) // MOST]


def disturbances(alignment: Alignment, silent: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches of the sent sound around steps and gaps."""
    inserted = [(at - SETTLED, at + SETTLED) for at, step in alignment.steps() if step > 0]
    return inserted + _losses(alignment) + [(start - SETTLED, end + SETTLED) for start, end in silent]


def _losses(alignment: Alignment) -> list[tuple[int, int]]:
    return [(at - SETTLED, at + round(-step) + RECOVERY) for at, step in alignment.steps() if step < 0]


def overlaps(start: int, stretches: list[tuple[int, int]]) -> bool:
    """Whether the block at `start` touches one of the stretches."""
    return any(start < high and start + BLOCK > low for low, high in stretches)


def quality(sent: Floats, received: Floats, alignment: Alignment, blocks: list[Block]) -> Quality:
    """Signal, noise and expected energy of the received sound, in the band; `sent` is stereo.

    Each block of each received channel is matched by least squares with the expected sound through a filter of 2 ms.
    What the filtered sound explains is signal; the rest is noise. A linear change (level, equalisation, a codec's
    band edge, a fraction of a sample of delay) is therefore no noise; distortion, coding noise, foreign sound are.
    """
    inner = [b for b in blocks if b.sent >= BLOCK / 2 + TAPS and b.sent + BLOCK / 2 + TAPS <= len(sent)]
    if not inner:
        return Quality(None, np.zeros((2, received.shape[1])), 0.0, 0.0, 0.0)
    here = [_piece(sent, block, TAPS // 2) for block in inner]
    there = [_received_piece(received, block, alignment.drift) for block in inner]
    plain = np.concatenate([piece[TAPS // 2 : TAPS // 2 + BLOCK] for piece in here])
    channels, matrix = arrangement(plain, np.concatenate(there))
    parts = [_explained(h @ m, t) for hs, ts in zip(here, there, strict=True) for h, m, t in _columns(hs, matrix, ts)]
    signal, noise = np.sum(parts, axis=0)
    return Quality(channels, matrix, float(signal), float(noise), float(np.sum((plain @ matrix) ** 2)))


def _columns(here: Floats, matrix: Floats, there: Floats) -> list[tuple[Floats, Floats, Floats]]:
    return [(here, matrix[:, index], there[:, index]) for index in range(there.shape[1])]


def _piece(sent: Floats, block: Block, margin: int) -> Floats:
    start = int(block.sent - BLOCK / 2)
    return sent[start - margin : start + BLOCK + margin - 1]


def _received_piece(received: Floats, block: Block, drift: float) -> Floats:
    places = np.asarray((np.arange(BLOCK) - BLOCK / 2) * (1 + drift) + block.received, np.float64)
    return at_positions(received, places)


def _explained(source: Floats, heard: Floats) -> tuple[float, float]:
    """Energy of `heard` that a short filter of `source` explains, and the energy of the rest."""
    delayed = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(source, len(heard)))
    gram = delayed @ delayed.T
    ridge = 1e-6 * float(np.trace(gram)) / TAPS + 1e-9  # a glide excites few of the taps: bounds the others
    taps = np.linalg.solve(gram + ridge * np.eye(TAPS), delayed @ heard)
    fitted = taps @ delayed
    return float(fitted @ fitted), float(np.sum((heard - fitted) ** 2))


def silent_stretches(sent: Floats, received: Floats, alignment: Alignment) -> list[tuple[int, int]]:
    """The stretches `[start, end)` of the sent mono that are loud there and (near) silent in the received mono.

    Only what lies inside the received sound counts, of 5 ms or more, and not at a loss: a decoder fades there.
    """
    places = np.round(alignment.positions()).astype(np.int64)
    inside = (places >= 0) & (places < len(received))
    heard = np.where(inside, received[np.clip(places, 0, len(received) - 1)], 0.0)
    expected, power = _envelope(sent), _envelope(heard)
    matched = audible(expected) & inside
    for start, end in _losses(alignment):
        matched[max(0, start) : end] = False
    level = float(np.median(power[matched] / expected[matched])) if matched.any() else 0.0
    runs = _joined(_runs(matched & (power < SILENT * level * expected)))
    return [(start, end) for start, end in runs if end - start >= SHORTEST]


def outside(sent: Floats, received: Floats, alignment: Alignment) -> tuple[int, int]:
    """How many samples of the sent sound, from its first to its last audible one, lie before and after the received."""
    places = alignment.positions()
    loud = np.flatnonzero(audible(_envelope(sent)))
    before = loud[places[loud] < 0]
    after = loud[places[loud] > len(received) - 1]
    head = int(before[-1] - before[0]) + 1 if len(before) else 0
    return head, int(after[-1] - after[0]) + 1 if len(after) else 0


def audible(power: Floats) -> NDArray[np.bool_]:
    """Where the envelope is near that of the louder half of the sound."""
    loud = float(np.mean(power[power >= np.median(power)])) if len(power) else 0.0
    return np.asarray(power > max(LOUD * loud, 1.0))  # 1.0: one unit of int16 is silence


def _envelope(sound: Floats) -> Floats:
    """Power in a window around each sample."""
    padded = np.concatenate([np.zeros(WINDOW // 2 + 1), sound**2, np.zeros(WINDOW - WINDOW // 2)])
    total = np.cumsum(padded)
    return np.asarray(np.maximum(total[WINDOW : WINDOW + len(sound)] - total[: len(sound)], 0.0) / WINDOW)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The runs of true, widened by the half windows that hid their edges."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    half = WINDOW // 2
    return [(max(0, int(a) - half), min(len(flags), int(b) + half)) for a, b in edges.reshape(-1, 2)]


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs that are less than the shortest gap apart are one: the sent sound was weak in between."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < SHORTEST:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
