"""Answers token by token, the cache handed from one inference to the next without a copy (export/BUNDLE.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime

from kit.choosing import choose
from kit.errors import BrokenError, InputError
from kit.model import MAIN, Model
from kit.tokens.detokenizer import Detokenizer


@dataclass(frozen=True)
class Sampling:
    """How each token is chosen.

    Attributes:
        temperature: Scores are divided by it; 0 takes the likeliest token, whatever else is said.
        top_k: Only so many of the likeliest tokens are drawn from; 0 is all.
        top_p: Only the likeliest tokens are drawn from that have this share of the probability together.
        seed: The same one draws the same tokens.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and self.top_k >= 0 and self.seed >= 0 and 0 < self.top_p <= 1):
            got = ", ".join(f"{name} {value}" for name, value in vars(self).items())
            raise InputError(f"temperature, top_k and seed must be at least 0, top_p above 0 and at most 1, got {got}")


@dataclass
class Said:
    """An answer.

    Attributes:
        text: In words.
        tokens: Ids, without the one that ended it.
        end: `stop`, where it was complete; `length`, where it was as long as asked; `cache`, where the model can
            remember no more.
        prompt: Tokens of what was asked.
        first_ns: From the prompt to the first token.
        step_ns: Of each token after that.
    """

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    end: str = "length"
    prompt: int = 0
    first_ns: int = 0
    step_ns: list[int] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float | None:
        """Of the tokens after the first; None where there was but one."""
        return len(self.step_ns) / sum(self.step_ns) * 1e9 if self.step_ns else None


class Writer:
    """A model that answers token by token, with what makes text of tokens."""

    def __init__(self, model: Model, contract: Mapping[str, Any], detokenizer: Detokenizer) -> None:
        """Takes the contract.

        Raises:
            BrokenError: It says what this kit does not know.
        """
        self.model, self._words = model, detokenizer
        self.decoding: Mapping[str, Any] = contract["decoding"]
        self.links: Mapping[str, Any] = contract.get("links", {}).get(MAIN, {})
        self._stop, self._positions = frozenset(self.decoding["stop"]), self.decoding["positions"]
        reader = self.decoding.get("reader")
        beside = set(model.sessions) - {MAIN}
        if beside != ({reader["graph"]} if reader else set()) or set(self.links) != beside:
            raise BrokenError(f"contract.json: graphs must be {MAIN} and a reader's, got {', '.join(model.sessions)}")
        own = {each["name"]: each for each in contract["inputs"]}
        self.blank = {
            name: np.zeros(
                [axis if isinstance(axis, int) else int(place == 0) for place, axis in enumerate(shape)], dtype
            )
            for name, shape, dtype in (
                (name, own[name]["shape"], own[name]["dtype"]) for name in self.decoding["cache"]
            )
        }

    def say(
        self,
        prompt: Sequence[int],
        most: int = 128,
        sampling: Sampling | None = None,
        told: Callable[[str], None] = lambda _: None,
    ) -> Said:
        """Says what follows a prompt.

        Args:
            prompt: Token ids, at least one.
            most: Tokens at most: a model may never stop.
            sampling: How each is chosen; by default the likeliest.
            told: Called with each new piece of the text.

        Raises:
            InputError: The prompt is empty, or more than the model can remember.
        """
        self._check(prompt, most)
        sampling = sampling or Sampling()
        rng, said, shown, times = np.random.default_rng(sampling.seed), Said(prompt=len(prompt)), "", list[int]()
        course = Course(self, prompt)
        while len(said.tokens) < most:
            if self._positions is not None and len(prompt) + len(said.tokens) > self._positions:
                said.end = "cache"
                break
            began = time.perf_counter_ns()
            token = choose(course.scores(said.tokens[-1] if said.tokens else None), sampling, rng)
            times.append(time.perf_counter_ns() - began)
            if token in self._stop:
                said.end = "stop"
                break
            said.tokens.append(token)
            said.text = self._words(said.tokens)
            # What is half a character yet comes with the next token.
            if said.text.startswith(shown) and not said.text.endswith("\ufffd"):
                told(said.text[len(shown) :])
                shown = said.text
        if said.text.startswith(shown):
            told(said.text[len(shown) :])
        said.first_ns, *said.step_ns = times
        return said

    def pace(self, prompt: Sequence[int], most: int) -> list[int]:
        """Nanoseconds of each of so many tokens, or of as many as the model can remember; none ends the answer."""
        course, token, times = Course(self, prompt), None, list[int]()
        for _ in range(self.room(prompt, most)):
            began = time.perf_counter_ns()
            token = int(course.scores(token).argmax())
            times.append(time.perf_counter_ns() - began)
        return times

    def room(self, prompt: Sequence[int], most: int) -> int:
        """How many of so many tokens the model can remember after a prompt; none, or less, where that alone is more."""
        return most if self._positions is None else min(most, self._positions - len(prompt) + 1)

    def _check(self, prompt: Sequence[int], most: int) -> None:
        if not len(prompt):
            raise InputError("a prompt must hold at least one token, got none")
        if most < 1:
            raise InputError(f"max_tokens must be at least 1, got {most}")
        if self._positions is not None and len(prompt) > self._positions:
            text = f"a prompt must be at most {self._positions} tokens, all that this model can remember"
            raise InputError(f"{text}, got {len(prompt)}")


class Course:
    """An answer under way: what was read, and the cache."""

    def __init__(self, writer: Writer, prompt: Sequence[int]) -> None:
        self._writer, self._prompt = writer, np.asarray([prompt], np.int64)
        self._past = {name: onnxruntime.OrtValue.ortvalue_from_numpy(each) for name, each in writer.blank.items()}
        self._read: dict[str, Any] | None = None

    def scores(self, token: int | None = None) -> np.ndarray:
        """The scores of what follows, shape [vocabulary].

        Args:
            token: That was chosen of the scores before; None at the start.
        """
        said = self._writer.decoding
        fed = self._begun() if self._read is None else np.asarray([[token]], np.int64)
        kept = {said["keep"]: np.asarray([fed.shape[1] - 1])} if "keep" in said else {}
        names = (said["output"], *said["cache"].values())
        values = {**self._past, **(self._read or {})}
        scores, *present = self._run(MAIN, {said["tokens"]: fed, **kept}, values, names)
        self._past = dict(zip(said["cache"], present, strict=True))
        found: np.ndarray = scores.numpy()[0, -1]
        return found

    def _begun(self) -> np.ndarray:
        """What is fed first: the prompt, or, where a graph of its own reads that, what every answer begins by."""
        said, self._read = self._writer.decoding, {}
        reader = said.get("reader")
        if reader is None:
            return self._prompt
        links = self._writer.links[reader["graph"]]
        given = self._run(reader["graph"], {reader["tokens"]: self._prompt}, {}, tuple(links.values()))
        self._read = dict(zip(links, given, strict=True))
        return np.asarray([[said["begin"]]], np.int64)

    def _run(self, graph: str, feeds: Mapping[str, np.ndarray], values: Mapping[str, Any], names: Sequence[str]) -> Any:
        """One inference; what it gives stays in the runtime's memory."""
        session = self._writer.model.sessions[graph]
        binding = session.io_binding()
        try:
            for name, array in feeds.items():
                binding.bind_cpu_input(name, array)
            for name, value in values.items():
                binding.bind_ortvalue_input(name, value)
            for name in names:
                binding.bind_output(name)
            session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime raises unrelated types of its own
            raise InputError(f"the model must take what it is fed, got: {error}") from error
        return binding.get_outputs()
