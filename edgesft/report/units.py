"""Base units as people read them; the only place where nanoseconds become milliseconds."""

from __future__ import annotations


def milliseconds(nanoseconds: int | None) -> str:
    """`3.21` for 3 210 000 ns; three significant digits."""
    if nanoseconds is None:
        return "–"
    value = nanoseconds / 1e6
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def megabytes(size: int | None) -> str:
    """`22.7 MB` of 10^6 bytes."""
    return "–" if size is None else f"{size / 1e6:.1f} MB"


def count(number: int | None) -> str:
    """`22.7 M` parameters."""
    if number is None:
        return "–"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def number(value: float | None) -> str:
    """A plain figure of a budget line: four significant digits."""
    return "–" if value is None else f"{value:.4g}"


def percent(share: float) -> str:
    """`87.2` for 0.872."""
    return f"{share * 100:.1f}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
