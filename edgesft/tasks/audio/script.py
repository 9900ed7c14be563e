"""Texts as a synthesiser reads them, and sounds as it says them: symbols, speakers, mel bands."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data import checks
from edgesft.data.media import audio, medium
from edgesft.data.media.vocoder import Vocoder
from edgesft.errors import InputError

EDGE, FIRST = 1, 2
"""Number of what stands before and after a text, and of the first symbol; 0 fills up."""


def units(text: Any, options: Mapping[str, Any]) -> list[str]:
    """What a text is made of: its characters with single blanks between words, or its words.

    Args:
        text: What is no text is written as one.
        options: Fields of `SpeechSpec` by name.
    """
    composed = unicodedata.normalize("NFC", str(text))
    words = (composed.lower() if options["lower"] else composed).split()
    return words if options["units"] == "words" else list(" ".join(words))


def quoted(symbols: Iterable[str]) -> str:
    """The first few of them, and how many more there are."""
    return checks.listed(repr(symbol) for symbol in sorted(symbols))


class Script:
    """A processor: how texts become symbols, and sounds bands and back, by the contract."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self.symbols = {symbol: FIRST + place for place, symbol in enumerate(options["symbols"])}
        self.speakers = {name: place for place, name in enumerate(options["speakers"])}
        self.rate: int = options["rate"]
        frame, self.hop = round(options["frame"] * self.rate), round(options["hop"] * self.rate)
        high, fft = options["high"] or self.rate / 2, 1 << (frame - 1).bit_length()
        bands = audio.bands(self.rate, fft, options["mels"], options["low"], high)
        self.vocoder = Vocoder(bands, frame, self.hop, options["floor"], options["iterations"])

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes nothing: the contract has it all."""

    def tokens(self, text: str) -> tuple[np.ndarray, int]:
        """Numbers of a text's symbols between two edges, int64 of shape [symbols], and how many were left out.

        Raises:
            InputError: The text is blank or too long, or has symbols that no training row had and that are not to be
                left out.
        """
        found, longest = units(text, self._options), self._options["longest"]
        if not found:
            raise InputError("text must hold something to say, got a blank one", "write something")
        if len(found) > longest:
            message = f"text must be of at most {longest} {self._options['units']}, got {len(found)}"
            raise InputError(message, "say it sentence by sentence")
        known = [self.symbols[each] for each in found if each in self.symbols]
        strange = {each for each in found if each not in self.symbols}
        if strange and (self._options["unseen"] == "refuse" or not known):
            message = f"text must be of symbols that training rows had, got {quoted(strange)} in {text[:40]!r}"
            raise InputError(message, "other words; or data.speech.unseen: skip before training")
        return np.asarray([EDGE, *known, EDGE], np.int64), len(found) - len(known)

    def speaker(self, name: str | None) -> int | None:
        """The number of a speaker; None where there are none.

        Raises:
            InputError: There is none of that name, or one must be named.
        """
        if not self.speakers:
            if name is not None:
                raise InputError(f"speaker must be left out: this model has only one voice, got {name!r}")
            return None
        if name not in self.speakers:
            names = ", ".join(self.speakers)
            raise InputError(f"speaker must be one of {names}, got {name!r}", next(iter(self.speakers)))
        return self.speakers[name]

    def mel(self, value: Any) -> np.ndarray:
        """Bands of a row's sound, float32 of shape [frames, bands].

        Raises:
            InputError: It cannot be read.
        """
        try:
            source = medium.source(value)
            found, rate = (source[:, None], self.rate) if isinstance(source, np.ndarray) else audio.decode(source)
        except Exception as error:  # Readers raise whatever a damaged file leads them to.
            raise medium.refused(value, error) from error
        return self.vocoder.mel(audio.resampled(found.mean(axis=1), rate, self.rate))

    def seconds(self, frames: int) -> float:
        """How long so many frames sound."""
        return frames * self.hop / self.rate
