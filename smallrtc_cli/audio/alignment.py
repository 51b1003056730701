"""How the received sound lies against the sent one: located blocks, segments of constant delay, steps between them.

Pure; positions are in samples of the band (`bands.BAND_RATE`). A sent position `p` of a segment lies at
`p * (1 + drift) + offset` in the received sound.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from smallrtc_cli.audio.bands import BAND_RATE, Floats, running_energy
from smallrtc_cli.audio.search import Ground, Match, highest, silence_floor

BLOCK = BAND_RATE * 120 // 1000
HOP = BAND_RATE * 40 // 1000
"A block is about an event of the measuring signal; three of them overlap, so that a step is bracketed closely."

ACTIVE = 1e-2
"Of the mean power of the loud half: a block below -20 dB of it is a pause."

REACH = BAND_RATE * 250 // 1000
"How far from the expected place a block is sought: ten lost packets in a row and more."

FAR = 3 * BAND_RATE
LOST_AFTER, FAR_EVERY = 4, 4
"After four blocks that were not found, every fourth is sought 3 s around: dear, so not each."

CLEAR = 0.4
"Correlation of a block that counts; a foreign sound reaches 0.2 by chance."

MARGIN = 0.1
"How much higher than any other place a place must be that was not expected."

BONUS = 0.05
"How much an unexpected place must beat the expected one: a vowel's next period reaches 0.95 of it."

TOLERANCE = BAND_RATE // 1000
"1 ms: a codec's delay wobbles by less, a lost packet or an adaptive jitter buffer's cut is more (2.5 ms)."

SCATTER = 0.1
"Samples of offset by which blocks scatter on a clean path."

ROUNDS = 4
"Of fitting the drift and leaving out what is far off; it stands still after three."


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the sent sound and where it came back: the positions of its middle, and the correlation."""

    sent: float
    received: float
    height: float

    @property
    def offset(self) -> float:
        return self.received - self.sent


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch `[start, end)` of the sent sound whose delay is constant but for drift."""

    start: int
    end: int
    offset: float


@dataclass(frozen=True, slots=True)
class Alignment:
    """The located blocks, what was sought, the drift (parts of one; 0 when `drift_known` is false), the segments."""

    blocks: tuple[Block, ...]
    sought: int
    drift: float
    drift_known: bool
    segments: tuple[Segment, ...]

    def steps(self) -> list[tuple[int, float]]:
        """Where the delay jumps, and by how many samples: above zero something was inserted, below it is missing."""
        return [(old.end, new.offset - old.offset) for old, new in pairwise(self.segments)]

    def positions(self) -> Floats:
        """For every sent sample before the end of the last segment, its (fractional) place in the received sound."""
        parts = [np.arange(s.start, s.end) * (1 + self.drift) + s.offset for s in self.segments]
        return np.concatenate(parts) if parts else np.zeros(0)


def align(sent: Floats, received: Floats, matches: list[Match]) -> Alignment:
    """Follow the sent sound through the received one, beginning where the first probes were found."""
    found, sought = _locate(sent, received, matches)
    blocks = _consistent(found)
    groups = _groups(blocks, 0.0)
    drift, known = _drift(groups)
    groups = _groups(blocks, drift)
    drift, known = _drift(groups)
    return Alignment(tuple(blocks), sought, drift, known, tuple(_segments(sent, received, groups, drift)))


def active_blocks(sent: Floats) -> list[int]:
    """The starts of the blocks that are loud enough to be recognised."""
    if len(sent) < BLOCK:
        return []
    energy = running_energy(sent, BLOCK)[::HOP]
    loud = float(np.mean(np.sort(energy)[len(energy) // 2 :]))
    quietest = max(ACTIVE * loud, float(BLOCK))  # one unit of int16 is silence
    return [int(index) * HOP for index in np.flatnonzero(energy > quietest)]


def _locate(sent: Floats, received: Floats, matches: list[Match]) -> tuple[list[Block], int]:
    starts = active_blocks(sent)
    floor = silence_floor(received)
    offset = _first_offset(matches)
    found: list[Block] = []
    missed = 0
    for start in starts:
        far = missed >= LOST_AFTER and missed % FAR_EVERY == 0
        place = _place(sent[start : start + BLOCK], received, start + offset, FAR if far else REACH, floor)
        if place is None:
            missed += 1
            continue
        missed = 0
        offset = place[0] - start
        found.append(Block(start + BLOCK / 2, place[0] + BLOCK / 2, place[1]))
    return found, len(starts)


def _first_offset(matches: list[Match]) -> float:
    """The delay of the earliest probe that is nearly as good as the best one; a weak one may be a chance."""
    best = max(match.height for match in matches)
    first = next(match for match in matches if match.height >= 0.7 * best)
    return first.received - first.sent


def _place(piece: Floats, received: Floats, expected: float, reach: int, floor: float) -> tuple[float, float] | None:
    """Where the piece lies within `reach` of where it is expected, and its correlation; None without a clear peak."""
    low = max(0, round(expected) - reach)
    high = min(len(received), round(expected) + reach + len(piece))
    if high - low < len(piece):
        return None
    curve = Ground(received[low:high], floor).correlation(piece)
    peak = highest(curve, TOLERANCE, near=expected - low, bonus=BONUS)
    expected_here = abs(peak.position + low - expected) <= TOLERANCE + 1
    clear = peak.height >= CLEAR and (expected_here or peak.height - peak.second >= MARGIN)
    return (peak.position + low, peak.height) if clear else None


def _consistent(blocks: list[Block]) -> list[Block]:
    """Without the blocks that stand alone between two neighbours that agree with each other."""
    kept = []
    for index, block in enumerate(blocks):
        beside = [blocks[i] for i in (index - 1, index + 1) if 0 <= i < len(blocks)]
        if any(abs(block.offset - other.offset) <= TOLERANCE for other in beside):
            kept.append(block)
    return kept


def _groups(blocks: list[Block], drift: float) -> list[list[Block]]:
    """Consecutive blocks whose delay, less the drift, agrees to the tolerance."""
    groups: list[list[Block]] = []
    for block in blocks:
        if groups:
            last = groups[-1][-1]
            change = block.offset - last.offset - drift * (block.sent - last.sent)
            if abs(change) <= TOLERANCE:
                groups[-1].append(block)
                continue
        groups.append([block])
    return groups


def _drift(groups: list[list[Block]]) -> tuple[float, bool]:
    """The common slope of offset over sent position within groups; unknown below 1 s of blocks.

    Blocks far from the line are left out, in a few rounds: a codec's high-pass filter moves low voices by 0.5 ms.
    """
    if sum(group[-1].sent - group[0].sent for group in groups) < BAND_RATE:
        return 0.0, False
    lines = [np.array([(block.sent, block.offset) for block in group]) for group in groups if len(group) > 2]
    slope, kept = 0.0, [np.ones(len(line), bool) for line in lines]
    for _ in range(ROUNDS):
        slope = _slope([line[keep] for line, keep in zip(lines, kept, strict=True)])
        residuals = [_residual(line, slope) for line in lines]
        limit = max(SCATTER, 3 * float(np.median(np.abs(np.concatenate(residuals)))) if residuals else 0.0)
        kept = [np.abs(residual) <= limit for residual in residuals]
    return slope, bool(lines)


def _slope(lines: list[Floats]) -> float:
    """Least squares: one slope, an intercept for each line of shape `(n, 2)`."""
    flat = [line - line.mean(axis=0) for line in lines if len(line)]
    spread = sum(float(line[:, 0] @ line[:, 0]) for line in flat)
    return sum(float(line[:, 0] @ line[:, 1]) for line in flat) / spread if spread > 0 else 0.0


def _residual(line: Floats, slope: float) -> Floats:
    rest = line[:, 1] - slope * line[:, 0]
    return np.asarray(rest - np.median(rest))


def _segments(sent: Floats, received: Floats, groups: list[list[Block]], drift: float) -> list[Segment]:
    offsets = [float(np.median([b.received - b.sent * (1 + drift) for b in group])) for group in groups]
    cuts = [0]
    for (before, after), pair in zip(pairwise(groups), pairwise(offsets), strict=True):
        cuts.append(max(cuts[-1], _cut(sent, received, (before[-1], after[0]), pair, drift)))
    cuts.append(len(sent))
    return [Segment(a, b, offset) for (a, b), offset in zip(pairwise(cuts), offsets, strict=False)]


def _cut(
    sent: Floats, received: Floats, between: tuple[Block, Block], offsets: tuple[float, float], drift: float
) -> int:
    """The sent position where one delay ends and the next begins: the least sum of squares on either side of it.

    What is missing belongs to neither side: after a cut, `lost` samples are left out.
    """
    start = max(0, int(between[0].sent - BLOCK / 2))
    end = min(len(sent), int(between[1].sent + BLOCK / 2))
    old, new = (_misfit(sent, received, start, end, offset, drift) for offset in offsets)
    lost = max(0, round(offsets[0] - offsets[1]))
    until = np.concatenate([[0.0], np.cumsum(old)])
    after = np.concatenate([[0.0], np.cumsum(new)])
    rest = after[-1] - np.concatenate([after[lost:], np.full(min(lost, len(after)), after[-1])])[: len(after)]
    return start + int(np.argmin(until + rest))


def _misfit(sent: Floats, received: Floats, start: int, end: int, offset: float, drift: float) -> Floats:
    """The squared difference of the sent and the received sound at a delay, both at one level."""
    place = np.clip(np.round(np.arange(start, end) * (1 + drift) + offset).astype(int), 0, len(received) - 1)
    here, there = sent[start:end], received[place]
    level = np.sqrt(float(here @ here) / max(float(there @ there), 1e-9))
    return np.asarray((here - level * there) ** 2)
