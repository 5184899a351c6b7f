"""Quantities as a person says them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory(size: float) -> str:
    """Bytes in a unit that fits."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def rate(per_second: float) -> str:
    """A number a second with three digits: `12.3 k/s`."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if per_second >= factor:
            return f"{per_second / factor:.3g} {unit}/s"
    return f"{per_second:.3g}/s"


def chance(probability: float) -> str:
    """A probability in per cent; never all or nothing where it is not."""
    if 0.9999 < probability < 1:
        return "> 99.99 %"
    if 0 < probability < 0.0001:
        return "< 0.01 %"
    return f"{100 * probability:.{1 if 0.01 <= probability <= 0.99 else 2}f} %"
