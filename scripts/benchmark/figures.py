"""Numbers of numbers."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values are, between two of them by proportion; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """NaN of none; what is NaN does not count."""
    return percentile([value for value in values if not math.isnan(value)], 50)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows with each x: the least-squares line; NaN where x does not change."""
    count = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / max(count, 1) for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else math.nan


def ratio(ours: float, reference: float, *, more_is_better: bool) -> float:
    """How many times better than the reference; infinite where we need none of what it needs."""
    better, worse = (ours, reference) if more_is_better else (reference, ours)
    if math.isnan(better) or math.isnan(worse):
        return math.nan
    if worse <= 0:
        return 1.0 if better <= 0 else math.inf
    return max(better, 0.0) / worse
