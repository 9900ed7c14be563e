"""Raw row → the model's inputs, as the contract's `preparation` says (export/BUNDLE.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kit import picture, sound
from kit.bundle import Bundle
from kit.errors import BrokenError, InputError
from kit.frames import Framer, hops
from kit.model import Arrays
from kit.resize import resized
from kit.slots import slots

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One inference.

    Attributes:
        feeds: Input → array, with a batch axis of 1; without the states.
        details: What decoding must know of it besides.
    """

    feeds: Arrays
    details: Mapping[str, Any] = field(default_factory=dict)


Preparation = Callable[[Row], Iterator[Request]]


def preparation(bundle: Bundle) -> Preparation:
    """What makes requests of raw rows.

    Raises:
        BrokenError: The contract says what this kit does not know.
    """
    said = bundle.contract["preparation"]
    if said["kind"] not in KINDS:
        raise BrokenError(f"contract.json: preparation.kind must be one of {', '.join(KINDS)}, got '{said['kind']}'")
    return KINDS[said["kind"]](bundle, said)


def value_of(row: Row, column: str) -> Any:
    """What a row has in a column.

    Raises:
        InputError: Nothing.
    """
    if not isinstance(row, Mapping) or column not in row:
        got = ", ".join(row) if isinstance(row, Mapping) else repr(row)
        raise InputError(f"a row must have '{column}', got {got}")
    return row[column]


class _Texts:
    """Texts, lists of words, and pairs of question and passage."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        from kit.tokens.tokenizer import Cut, Tokenizer

        if "tokenizer" not in said:
            raise BrokenError(
                "contract.json: preparation.tokenizer must name a file, got none: another made the tokens"
            )
        split = said["split_special_tokens"]
        self._tokenizer = Tokenizer(bundle.json(said["tokenizer"]), split_special_tokens=split)
        # What is to be answered in words is refused where it would be cut: it would be another question.
        self._most = said["max_length"] if bundle.contract["decoding"]["kind"] == "generation" else None
        cut = None if self._most else said["max_length"]
        self._cut = Cut(cut, said["truncation_side"], said.get("stride", 0))
        self._prefix = said.get("prefix", "")
        self._columns, self._fields = said["columns"], said["fields"]
        self._make = {"text": self._text, "words": self._words, "text-pair": self._pair}[said["kind"]]

    def __call__(self, row: Row) -> Iterator[Request]:
        values = [value_of(row, column) for column in self._columns]
        yield from self._make(*values)

    def _feeds(self, tokens: Any) -> Arrays:
        return {name: np.asarray([getattr(tokens, each)], np.int64) for name, each in self._fields.items()}

    def _text(self, text: Any) -> Iterator[Request]:
        tokens = self._tokenizer.encode(self._prefix + text_of(text), self._cut)
        if self._most and not text_of(text).strip():
            raise InputError("a prompt must hold words, got none")
        if self._most and len(tokens.ids) > self._most:
            raise InputError(f"a prompt must be at most {self._most} tokens, as in training, got {len(tokens.ids)}")
        yield Request(self._feeds(tokens))

    def _words(self, value: Any) -> Iterator[Request]:
        words = value.split() if isinstance(value, str) else [text_of(str(each)) for each in value]
        tokens = self._tokenizer.encode_words(words, self._cut)
        firsts: list[int | None] = [None] * len(words)
        for place, word in enumerate(tokens.words):
            if word is not None and firsts[word] is None:
                firsts[word] = place
        yield Request(self._feeds(tokens), {"first_tokens": firsts})

    def _pair(self, question: Any, passage: Any) -> Iterator[Request]:
        for tokens in self._tokenizer.windows(text_of(question), text_of(passage), self._cut):
            of_passage = np.asarray([each == 1 for each in tokens.sequences])
            covered = np.where(of_passage[:, np.newaxis], np.asarray(tokens.covered, np.int64), -1)
            yield Request(self._feeds(tokens), {"covered": covered, "passage": passage})


class _Conversations:
    """Prompts, conversations, and texts that are to go on."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        from kit.conversation import Conversation
        from kit.tokens.tokenizer import Tokenizer

        if "tokenizer" not in said:
            raise BrokenError("contract.json: preparation.tokenizer must name a file, got none")
        decoding = bundle.contract["decoding"]
        made = Tokenizer(bundle.json(said["tokenizer"]), split_special_tokens=said["split_special_tokens"])
        self._tokens, self._input = Conversation(made, said, decoding["stop"]), decoding["tokens"]

    def __call__(self, row: Row) -> Iterator[Request]:
        if not isinstance(row, Mapping):
            raise InputError(f"a row must be an object, got {row!r}")
        yield Request({self._input: np.asarray([self._tokens(row)], np.int64)})


def text_of(text: Any) -> str:
    """A text that UTF-8 can say.

    Raises:
        InputError: It is none.
    """
    if not isinstance(text, str):
        raise InputError(f"a text must be text, got {type(text).__name__}")
    # What a system handed over that was no UTF-8 has halves of characters in it.
    return text.encode("utf-8", "replace").decode("utf-8")


class _Images:
    """Pictures: a file, or pixels."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        self._said, self._input = said, bundle.contract["inputs"][0]["name"]
        self._mean, self._std = (
            None if said[name] is None else np.atleast_1d(np.asarray(said[name], np.float32))
            for name in ("mean", "std")
        )

    def __call__(self, row: Row) -> Iterator[Request]:
        pixels = self.pixels(picture.pixels_of(value_of(row, self._said["columns"][0])))
        yield Request({self._input: self.feed(pixels)[np.newaxis]})

    def pixels(self, found: np.ndarray) -> np.ndarray:
        """Converted, resized and cut, uint8 of shape [height, width, channels]."""
        said = self._said
        found = picture.coloured(found, said["colour"])
        if said["resize"] is not None:
            found = resized(found, *target(*found.shape[:2], said["resize"]), said["resample"])
        return found if said["crop"] is None else cropped(found, *said["crop"])

    def feed(self, pixels: np.ndarray) -> np.ndarray:
        """What the model takes, without a batch axis."""
        found, dtype = pixels, np.dtype(self._said["dtype"])
        if self._said["scale"] is not None:
            found = (found.astype(np.float64) * self._said["scale"]).astype(np.float32)
        found = found if self._mean is None else found - self._mean
        found = found if self._std is None else found / self._std
        if dtype.kind in "iu" and found.dtype != dtype:
            limits = np.iinfo(dtype)
            found = np.clip(np.rint(found), limits.min, limits.max)
        order = found.transpose(2, 0, 1) if self._said["layout"] == "NCHW" else found
        return np.ascontiguousarray(order.astype(dtype, copy=False))


def target(height: int, width: int, resize: Any) -> tuple[int, int]:
    """Height and width to resize to: as given, or so that the shorter side is; the longer one is rounded down."""
    if not isinstance(resize, int):
        return resize[0], resize[1]
    short, long = sorted((height, width))
    other = int(resize * long / short)
    return (resize, other) if height <= width else (other, resize)


def cropped(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The centre; what lies outside of the picture is black."""
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    found = np.zeros((height, width, pixels.shape[2]), np.uint8)
    inner = pixels[max(0, top) : top + height, max(0, left) : left + width]
    found[max(0, -top) :, max(0, -left) :][: inner.shape[0], : inner.shape[1]] = inner
    return found


class _Sounds:
    """Sounds: a file, or samples at the rate."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        from kit.audio import Reader

        self._column, self._input = said["columns"][0], bundle.contract["inputs"][0]["name"]
        self._reader = Reader(said)

    def __call__(self, row: Row) -> Iterator[Request]:
        heard = heard_at(value_of(row, self._column), self._reader.rate)
        yield Request({self._input: self._reader.feed(self._reader.samples(heard)[np.newaxis])})


def heard_at(source: Any, rate: int) -> np.ndarray:
    """A file's samples, or such as are given, of one channel at a rate, float64."""
    from kit.audio import resampled

    try:
        samples, own = (sound.samples_of(source), None) if isinstance(source, np.ndarray) else sound.read(source)
    except ValueError as error:
        raise InputError(str(error)) from error
    return resampled(samples.mean(axis=1), own or rate, rate)


class _Frames:
    """Sound as it comes: a file's, or samples at the rate, frame after frame."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        self._said, self._column = said, said["columns"][0]
        shape = next(each["shape"] for each in bundle.contract["inputs"] if each["name"] == said["input"])
        self._shape = [axis if isinstance(axis, int) else 1 for axis in shape]
        overlaps = bundle.contract["decoding"]["kind"] == "frames"
        self._lag = said["window"] - said["hop"] if overlaps else 0

    def __call__(self, row: Row) -> Iterator[Request]:
        heard = heard_at(value_of(row, self._column), self._said["rate"])
        if not np.isfinite(heard).all():
            place = int(np.flatnonzero(~np.isfinite(heard))[0])
            raise InputError(f"samples must be finite, got {heard[place]} at {place}: cut the sound there")
        if not len(heard):
            raise InputError("a sound must have at least one sample, got none")
        framer, details = Framer(self._said), {"count": len(heard), "rate": self._said["rate"]}
        for samples in hops(heard, framer.hop, self._lag):
            yield Request({self._said["input"]: framer(samples).reshape(self._shape)}, details)


class _Items:
    """What somebody did, the latest last."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        self._said = said
        self._ids = {name: place for place, name in enumerate(bundle.contract["labels"], 1)}

    def __call__(self, row: Row) -> Iterator[Request]:
        items = value_of(row, self._said["columns"][0])
        if isinstance(items, str) or not isinstance(items, Sequence):
            raise InputError(f"'{self._said['columns'][0]}' must be a list of items, got {type(items).__name__}")
        places = [place for place, item in enumerate(items) if str(item) in self._ids]
        known = [self._ids[str(items[place])] for place in places]
        feeds = {self._said["input"]: self._latest(known, np.int64)}
        if "ratings" in self._said:
            rated = self._rated(value_of(row, "ratings"), len(items))
            feeds[self._said["ratings"]] = self._latest([rated[place] for place in places], np.float32)
        if "scenario" in self._said:
            feeds[self._said["scenario"]] = slots(self._said["features"], row)
        if "excluded" in self._said:
            feeds[self._said["excluded"]] = np.asarray([known[-self._said["history"] :] or [0]], np.int64)
        yield Request(feeds, {"unknown": len(items) - len(known)})

    def _latest(self, values: Sequence[float], dtype: Any) -> np.ndarray:
        """The latest ones behind zeros."""
        length = self._said["max_length"]
        read = values[-length:]
        return np.asarray([[0] * (length - len(read)) + [*read]], dtype)

    def _rated(self, ratings: Any, count: int) -> Sequence[float]:
        """From -1, the lowest of the scale, to 1."""
        low, high = self._said["scale"]
        try:
            found = np.asarray(ratings, np.float32)
        except (TypeError, ValueError, OverflowError):
            found = np.zeros(0)
        if found.shape != (count,) or not ((found >= low) & (found <= high)).all():
            raise InputError(
                f"'ratings' must be a number from {low:g} to {high:g} for each of 'items', got {ratings!r}"
            )
        scaled: Sequence[float] = (2 * (found - low) / (high - low) - 1).tolist()
        return scaled


class _Symbols:
    """Texts that are to be said, by a speaker where there are several, at a tempo."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        self._said = said

    def __call__(self, row: Row) -> Iterator[Request]:
        from kit.symbols import numbers

        said, speakers = self._said, self._said["speakers"]
        feeds = {said["tokens"]: np.asarray([numbers(text_of(value_of(row, "text")), said)], np.int64)}
        feeds["tempo"] = np.asarray([row.get("tempo", 1.0)], np.float32)
        if not feeds["tempo"] > 0:
            raise InputError(f"tempo must be above 0, got {row['tempo']}")
        if speakers:
            name = value_of(row, "speaker")
            if name not in speakers:
                raise InputError(f"a speaker must be one of {', '.join(speakers)}, got {name!r}")
            feeds["speaker"] = np.asarray([speakers.index(name)], np.int64)
        yield Request(feeds)


class _Arrays:
    """Arrays as they are, with or without a batch axis; of a model with states several at once, one after another."""

    def __init__(self, bundle: Bundle, said: Mapping[str, Any]) -> None:
        own = set(bundle.contract["states"])
        self._inputs = {each["name"]: each for each in bundle.contract["inputs"] if each["name"] not in own}
        self._streams = bool(own)

    def __call__(self, row: Row) -> Iterator[Request]:
        given = {name: self._array(name, value_of(row, name)) for name in self._inputs}
        counts = {len(each) for each in given.values()}
        if not self._streams:
            yield Request(given)
            return
        if len(counts) != 1 or counts == {0}:
            raise InputError(f"arrays must have at least one frame, and as many each, got {sorted(counts)}")
        for place in range(counts.pop()):
            yield Request({name: each[place : place + 1] for name, each in given.items()})

    def _array(self, name: str, value: Any) -> np.ndarray:
        found, axes = np.asarray(value, self._inputs[name]["dtype"]), len(self._inputs[name]["shape"])
        if found.ndim == axes - 1:
            found = found[np.newaxis]
        if found.ndim != axes:
            raise InputError(f"'{name}' must have {axes} axes with the batch, got {found.ndim}")
        return found


KINDS: Mapping[str, Callable[[Bundle, Mapping[str, Any]], Preparation]] = {
    "text": _Texts,
    "words": _Texts,
    "text-pair": _Texts,
    "conversation": _Conversations,
    "image": _Images,
    "audio": _Sounds,
    "frames": _Frames,
    "items": _Items,
    "symbols": _Symbols,
    "arrays": _Arrays,
}
