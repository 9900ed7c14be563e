"""Numbers on a command line, of which some make no sense."""

from __future__ import annotations

import argparse
import math


def positive(text: str) -> float:
    """A finite number above 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value


def allowance(text: str) -> float:
    """A finite number from 0 on.

    Raises:
        ArgumentTypeError: It is none.
    """
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on, got {text!r}")
    return value


def natural(text: str) -> int:
    """A whole number from 0 on.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text!r}")
    return int(text)


def share_or_file(text: str) -> str:
    """What is no number, or a share between 0 and 1, as it was written.

    Raises:
        ArgumentTypeError: It is another number.
    """
    value = _number(text)
    if math.isnan(value) and text.strip().lower().lstrip("+-") != "nan":
        return text
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a file, or a share above 0 and below 1, got {text!r}")
    return text


def _number(text: str) -> float:
    """What is no number is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan
