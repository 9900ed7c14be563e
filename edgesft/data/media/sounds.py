"""Sounds as rows' inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesft.data.media import audio
from edgesft.data.media.medium import Inspection, Medium
from edgesft.errors import Problem, UnavailableError

RATE, CHANNELS, SECONDS, LEVEL = "rate", "channels", "seconds", "level"

SILENT = 1e-4
"""Largest sample of what nobody hears: 80 dB below full scale, less than half of the last bits of 16 make."""


class Sounds(Medium):
    """Sounds that soundfile opens."""

    role = "audio"
    field = "audio"
    suffixes = frozenset((".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".opus"))
    several = "sounds"
    library = "soundfile"

    def look(self, value: str | bytes | np.ndarray) -> dict[str, str]:
        """Its rate and channels, its length to a millisecond, and whether anything is heard."""
        if isinstance(value, np.ndarray):
            samples, rate = value, 0
            if value.ndim != 1 or value.dtype.kind not in "iuf":
                raise OSError(f"must be numbers with one axis, got {value.dtype} {value.shape}")
        else:
            try:
                audio.library()
            except RuntimeError as error:
                raise UnavailableError(
                    "sounds: reading them needs soundfile", "pip install 'edgesft[audio]'"
                ) from error
            try:
                samples, rate = audio.decode(value)
            except Exception as error:  # soundfile raises its own classes, and what the system says.
                raise OSError(_reason(error)) from error
        if not len(samples):
            raise OSError("it has no samples")
        if not np.isfinite(samples).all():
            raise OSError("it has samples that are no numbers")
        silent = {LEVEL: "silent"} if np.abs(samples).max() < SILENT else {}
        if not rate:
            return silent
        seconds = math.ceil(1000 * len(samples) / rate) / 1000
        return {RATE: str(rate), CHANNELS: str(samples.shape[1]), SECONDS: str(seconds), **silent}

    def findings(self, split: str, found: Inspection, options: Mapping[str, Any]) -> tuple[list[Problem], list[str]]:
        """What is converted, averaged, cut, and what is silent."""
        total = sum(count for (kind, _), count in found.seen.items() if kind == RATE)
        warnings = list[str]()
        for (kind, value), count in sorted(found.seen.items()):
            told = f"data.{split}: {count} of {total} sounds"
            if kind == RATE and int(value) != (wanted := options["rate"]):
                less = f"data.{self.field}.rate={value} suffices if the model accepts any rate"
                less = f"; converting adds no information: {less}" if int(value) < wanted else ""
                warnings.append(f"{told} have {value} samples per second and are converted to {wanted}{less}")
            elif kind == CHANNELS and value != "1":
                warnings.append(f"{told} have {value} channels, which are averaged")
            elif kind == LEVEL:
                warnings.append(f"data.{split}: {count} sounds are silent: nothing in them is above -80 dB")
        longest = options.get("seconds", math.inf)
        cut = sum(count for (kind, value), count in found.seen.items() if kind == SECONDS and float(value) > longest)
        if cut:
            warnings.append(f"data.{split}: {cut} of {total} sounds are longer than {longest:g} s and are cut off")
        return [], warnings


class Streams(Sounds):
    """Sounds that come bit by bit."""

    field = "frames"


class Audible(Sounds):
    """Sounds in which something must be heard."""

    def look(self, value: str | bytes | np.ndarray) -> dict[str, str]:
        """Its rate and channels, and its length to a millisecond.

        Raises:
            OSError: Besides, where it is silent: it has no level, and says nothing.
        """
        found = super().look(value)
        if LEVEL in found:
            raise OSError("it is silent: nothing in it is above -80 dB")
        return found


class Recordings(Audible):
    """Sounds of which one is to be made another: clean ones, and what they are heard in."""

    role = "clean"
    further = ("noisy", "noise")
    field = "frames"


class Readings(Audible):
    """Sounds in which somebody says a text."""

    field = "speech"


def _reason(error: Exception) -> str:
    """Without the name of the file, which is told besides."""
    told = str(error)
    if not told.startswith("Error opening"):
        return told or type(error).__name__
    # What the library says of a file that is no sound, though it is there.
    return "it is no sound that can be read" if "not a regular file" in told else told.rpartition(": ")[2]
