"""Answers of a decoder's ONNX file, its cache handed from one inference to the next without a copy; where an encoder
reads what is asked, it does so once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgesft.errors import InputError
from edgesft.measure.generation.choosing import choose
from edgesft.measure.generation.sampling import Sampling
from edgesft.tasks.decoder import cache
from edgesft.tasks.decoder.cache import KEPT, LOGITS, TOKENS

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"

End = Literal["stop", "length", "cache"]
"""Why an answer ended: it was complete, it was as long as asked, or the model can remember no more."""


@dataclass(frozen=True)
class Answer:
    """What was said.

    Attributes:
        tokens: Ids, without the one that ended it.
        end: Why no more was said.
        first_ns: From the prompt to the first token.
        step_ns: Of each token after that.
    """

    tokens: list[int]
    end: End
    first_ns: int
    step_ns: list[int] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float | None:
        """Of the tokens after the first; None where there was but one."""
        return len(self.step_ns) / sum(self.step_ns) * 1e9 if self.step_ns else None


def _session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), settings, providers=[CPU])


class Decoder:
    """A decoder's file with what its contract says of it."""

    def __init__(self, files: Mapping[str, Path], options: Mapping[str, Any], threads: int = 1) -> None:
        """Loads the model on the CPU provider.

        Args:
            files: Graph → its ONNX file; beside `model` perhaps what reads the prompt.
            options: Of the contract: `cache`, `stop`, `positions` and, where something reads the prompt, `start`.
            threads: Intra-op threads.
        """
        *readers, self._session = (_session(file, threads) for file in files.values())
        self._readers, self._start = readers, options.get("start")
        self._takes = frozenset(value.name for value in self._session.get_inputs())
        self._shape: cache.Shape = options["cache"]
        self._states = cache.states(self._shape)
        self._stop = frozenset(options["stop"])
        self._positions: int | None = options["positions"]

    def answer(
        self,
        prompt: Sequence[int],
        most: int,
        sampling: Sampling | None = None,
        told: Callable[[int], None] = lambda _: None,
    ) -> Answer:
        """Says what follows a prompt.

        Args:
            prompt: Token ids, at least one.
            most: Tokens at most.
            sampling: How each is chosen; by default the likeliest.
            told: Called with each token once it is chosen.

        Raises:
            InputError: The prompt is empty, or leaves no room for an answer.
        """
        sampling = sampling or Sampling()
        self._check(prompt, most)
        rng, tokens, times = sampling.generator(), list[int](), list[int]()
        fed, past = np.asarray([prompt], np.int64), self._empty()
        read: dict[str, onnxruntime.OrtValue] = {}
        end: End = "length"
        while len(tokens) < most:
            if self._positions is not None and len(prompt) + len(tokens) > self._positions:
                end = "cache"
                break
            began = time.perf_counter_ns()
            if not times and self._readers:
                read, fed = self._read(fed), np.asarray([[self._start]], np.int64)
            scores, past = self._infer(fed, past, read)
            token = choose(scores, sampling, rng)
            times.append(time.perf_counter_ns() - began)
            if token in self._stop:
                end = "stop"
                break
            tokens.append(token)
            told(token)
            fed = np.asarray([[token]], np.int64)
        return Answer(tokens, end, times[0], times[1:])

    def _check(self, prompt: Sequence[int], most: int) -> None:
        if not len(prompt):
            raise InputError("prompt must hold at least one token, got none", "write something")
        if most < 1:
            raise InputError(f"max_tokens must be at least 1, got {most}")
        if self._positions is not None and len(prompt) > self._positions:
            message = f"prompt must be at most {self._positions} tokens, all that this model can remember"
            raise InputError(f"{message}, got {len(prompt)}", "a shorter prompt")

    def _empty(self) -> dict[str, onnxruntime.OrtValue]:
        import onnxruntime

        blank = cache.zeros(self._shape, 1, 0)
        return {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in blank.items()}

    def _read(self, prompt: np.ndarray) -> dict[str, onnxruntime.OrtValue]:
        """What the decoder looks up at each step."""
        found: dict[str, onnxruntime.OrtValue] = {}
        for session in self._readers:
            names = [value.name for value in session.get_outputs()]
            binding = session.io_binding()
            binding.bind_cpu_input(TOKENS, prompt)
            for name in names:
                binding.bind_output(name)
            session.run_with_iobinding(binding)
            found |= dict(zip(names, binding.get_outputs(), strict=True))
        return found

    def _infer(
        self,
        tokens: np.ndarray,
        past: Mapping[str, onnxruntime.OrtValue],
        read: Mapping[str, onnxruntime.OrtValue],
    ) -> tuple[np.ndarray, dict[str, onnxruntime.OrtValue]]:
        """The scores of the token that follows, and the cache with these tokens in it."""
        binding = self._session.io_binding()
        binding.bind_cpu_input(TOKENS, tokens)
        if KEPT in self._takes:
            binding.bind_cpu_input(KEPT, np.asarray([tokens.shape[1] - 1]))
        for name, value in (*past.items(), *read.items()):
            binding.bind_ortvalue_input(name, value)
        for name in (LOGITS, *self._states.values()):
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        return logits.numpy()[0, -1], dict(zip(self._states, present, strict=True))
