"""What a path did to a sound, told by comparing what was sent with what came back, by value.

Pure; any sound will do (speech, music, the measuring signal), mono or stereo on either side, any two rates.
The steps: find a few probes (`search`), perhaps at another speed (`speed`), follow block by block (`alignment`),
compare (`fidelity`), and put it into numbers; `AudioAnalysis.faults` puts it into words.
"""

from dataclasses import dataclass

import numpy as np

from smallrtc_cli.audio.alignment import BLOCK, TOLERANCE, Alignment, Block, active_blocks, align
from smallrtc_cli.audio.bands import BAND_RATE, Floats, in_band, running_energy
from smallrtc_cli.audio.channels import Channels, middle
from smallrtc_cli.audio.fidelity import (
    Quality,
    disturbances,
    outside,
    overlaps,
    quality,
    settled_blocks,
    silent_stretches,
)
from smallrtc_cli.audio.findings import AudioAnalysis, RoundTrip, Stretch
from smallrtc_cli.audio.recording import Recording
from smallrtc_cli.audio.search import Ground, first_matches, silence_floor
from smallrtc_cli.audio.speed import NORMAL, Speed, speed_of

__all__ = ["AudioAnalysis", "Channels", "Recording", "RoundTrip", "Speed", "Stretch", "analyse"]

ENOUGH = 5
"Blocks that must be located before the numbers mean something."

HEARD = 16.0
"RMS of int16 (-66 dBFS) in the loudest tenth of a second below which nothing came back."

BEST_SNR = 96.0
"dB: what 16 bits hold."


@dataclass(frozen=True, slots=True)
class _Pair:
    """The sent sound, at the speed at which it came back, and the received one, in the band; and their mono."""

    sent: Floats
    received: Floats
    here: Floats
    there: Floats


def analyse(sent: Recording, received: Recording) -> AudioAnalysis:
    """Compare. Whatever a path may do to a sound is a finding, never an exception."""
    there, here = _band(received, NORMAL), _band(sent, NORMAL)
    sought, heard = len(active_blocks(middle(here))), _heard(middle(there))
    if sought < ENOUGH or not heard:
        return AudioAnalysis(enough=sought >= ENOUGH, heard=heard, sought=sought)
    full = middle(sent.samples.astype(np.float64))
    speed, matches = speed_of(full, sent.rate, middle(here), middle(there))
    if not matches or speed is None:
        known, broken = _recognisable(middle(here)), speed is not None
        return AudioAnalysis(enough=known, heard=True, sought=sought, speed=speed or NORMAL, broken=broken)
    stereo = here if speed == NORMAL else _band(sent, speed)
    pair = _Pair(stereo, there, middle(stereo), middle(there))
    alignment = align(pair.here, pair.there, matches)
    silent = silent_stretches(pair.here, pair.there, alignment)
    blocks = settled_blocks(alignment, silent)
    judged = quality(_as_many(stereo, 2), there, alignment, blocks)
    if speed != NORMAL:
        return _at_another_speed(speed, alignment, judged)
    return _told(sent, received, pair, alignment, silent, blocks, judged)


def _band(recording: Recording, speed: Speed) -> Floats:
    """All channels in the band, shape `(n, channels)`."""
    channels = recording.samples.astype(np.float64).T
    return np.stack([in_band(sound, recording.rate, speed.made, speed.played) for sound in channels], axis=1)


def _as_many(channels: Floats, count: int) -> Floats:
    """Mono as stereo where stereo is wanted."""
    return channels if channels.shape[1] == count else np.repeat(channels[:, :1], count, axis=1)


def _heard(mono: Floats) -> bool:
    window = min(BAND_RATE // 10, len(mono))
    return window > 0 and bool(running_energy(mono, window).max() > window * HEARD**2)


def _recognisable(mono: Floats) -> bool:
    """Whether the sent sound has places that can be told from each other: a steady tone has none."""
    return bool(first_matches(mono, Ground(mono, silence_floor(mono))))


def _at_another_speed(speed: Speed, alignment: Alignment, judged: Quality) -> AudioAnalysis:
    return AudioAnalysis(
        enough=True,
        heard=True,
        sought=alignment.sought,
        located=len(alignment.blocks),
        snr_db=_decibels(judged.signal, judged.noise),
        level_change_db=_decibels(judged.signal, judged.expected),
        channels=judged.channels,
        speed=speed,
    )


def _told(
    sent: Recording,
    received: Recording,
    pair: _Pair,
    alignment: Alignment,
    silent: list[tuple[int, int]],
    blocks: list[Block],
    judged: Quality,
) -> AudioAnalysis:
    trips = _round_trips(sent, received, alignment)
    head, tail = outside(pair.here, pair.there, alignment)
    steps = [(at, step) for at, step in alignment.steps() if abs(step) > TOLERANCE]
    noise = judged.noise + _noise_beyond(sent, received, pair, blocks, judged)
    return AudioAnalysis(
        enough=len(alignment.blocks) >= ENOUGH,
        heard=True,
        sought=alignment.sought,
        located=len(alignment.blocks),
        unrecognised=_unrecognised(pair, alignment, silent),
        round_trip_ms=_summary(trips),
        jitter_ms=float(np.mean(np.abs(np.diff(trips)))) if len(trips) > 1 else None,
        drift_ppm=alignment.drift * 1e6 if alignment.drift_known else None,
        snr_db=_decibels(judged.signal, noise),
        level_change_db=_decibels(judged.signal, judged.expected),
        channels=judged.channels,
        gap_places=tuple(_stretch(start, end - start) for start, end in silent),
        lost_places=tuple(_stretch(at, -step) for at, step in steps if step < 0),
        inserted_places=tuple(_stretch(at, step) for at, step in steps if step > 0),
        lost_samples=sum(_samples(-step, sent.rate) for _, step in steps if step < 0),
        inserted_samples=sum(_samples(step, sent.rate) for _, step in steps if step > 0),
        head_ms=head * 1000 / BAND_RATE,
        tail_ms=tail * 1000 / BAND_RATE,
    )


def _round_trips(sent: Recording, received: Recording, alignment: Alignment) -> Floats:
    """Milliseconds for each located block, by the clocks of the recordings; none where a clock is missing."""
    if not sent.marks or not received.marks:
        return np.zeros(0)
    pairs = [
        (
            sent.time_of(block.sent * sent.rate / BAND_RATE),
            received.time_of(block.received * received.rate / BAND_RATE),
        )
        for block in alignment.blocks
    ]
    return np.array([(back - out) * 1000 for out, back in pairs])


def _summary(trips: Floats) -> RoundTrip | None:
    if not len(trips):
        return None
    p50, p95 = np.percentile(trips, [50, 95])
    return RoundTrip(float(p50), float(p95), float(trips.max()), len(trips))


def _unrecognised(pair: _Pair, alignment: Alignment, silent: list[tuple[int, int]]) -> int:
    """Blocks that should have been located: loud, undisturbed, and inside what came back."""
    found = {int(block.sent - BLOCK / 2) for block in alignment.blocks}
    places = alignment.positions()
    disturbed = disturbances(alignment, silent)
    missed = [start for start in active_blocks(pair.here) if start not in found and not overlaps(start, disturbed)]
    return sum(1 for at in missed if places[at] >= 0 and places[at + BLOCK - 1] <= len(pair.there) - 1)


def _noise_beyond(sent: Recording, received: Recording, pair: _Pair, blocks: list[Block], judged: Quality) -> float:
    """Energy outside the band that was not sent: hiss above 7 kHz, images of a bad resampler, hum."""
    if not judged.expected:
        return 0.0
    wanted = sum(_beyond(sent, pair.sent, block.sent, judged.matrix) for block in blocks)
    plain = np.eye(received.channels)
    present = sum(_beyond(received, pair.received, block.received, plain) for block in blocks)
    return max(0.0, present - wanted * judged.signal / judged.expected)


def _beyond(recording: Recording, band: Floats, at: float, matrix: Floats) -> float:
    """The energy of a block less its energy in the band, as samples of the band; its channels mixed by `matrix`."""
    start, end = (max(0, round(edge)) for edge in (at - BLOCK / 2, at + BLOCK / 2))
    scale = recording.rate / BAND_RATE
    full = recording.samples[round(start * scale) : round(end * scale)].astype(np.float64)
    full, part = (_as_many(channels, len(matrix)) @ matrix for channels in (full, band[start:end]))
    return float(np.sum(full**2)) / scale - float(np.sum(part**2))


def _stretch(start: float, length: float) -> Stretch:
    return Stretch(float(start) / BAND_RATE, float(length) * 1000 / BAND_RATE)


def _samples(length: float, rate: int) -> int:
    return round(length * rate / BAND_RATE)


def _decibels(power: float, other: float) -> float | None:
    """The ratio of two energies; None without the first."""
    if power <= 0:
        return None
    return float(min(BEST_SNR, 10 * np.log10(power / max(other, power * 1e-12))))
