"""What training sets in the process, and puts back: randomness, determinism, the libraries' chatter."""

from __future__ import annotations

import ctypes
import functools
import os
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch.nn import functional
from transformers.utils import logging as chatter

from edgesft.progress import verbose
from edgesft.tasks.models.pretrained import quiet

ROUNDS = 12
"""Products of each format that are timed; some milliseconds."""

PAYS = 1.2
"""How many times faster bf16 products must be: the casts around them cost about a tenth of a step."""

SHORTAGES = ("can't allocate memory", "not enough memory")
"""What torch's allocator for the CPU says, which has no exception of its own; the latter on Windows."""


def arithmetic(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    """The number format to train in: `auto` takes bf16 where its products are faster on this very device.

    That a processor has instructions for bf16 does not tell: those of AVX-512 without AMX take twice the time of fp32
    on some Xeons, and half of it on other processors.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and speedup() >= PAYS else "fp32"


@functools.cache
def speedup() -> float:
    """How many times faster a product is in bf16 than in fp32 here: the best of several, in turns."""
    able = torch.cpu.get_capabilities()
    if not (able.get("amx_bf16") or able.get("avx512_bf16") or able.get("bf16")):
        return 0.0
    # A feed-forward layer's weights and the tokens of a batch, as of a small encoder.
    rows, weights = torch.ones(768, 384), torch.ones(1536, 384)
    pairs = [(rows, weights), (rows.bfloat16(), weights.bfloat16())]
    taken: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for times, (one, other) in zip(taken, pairs, strict=True):
            began = time.perf_counter()
            functional.linear(one, other)
            times.append(time.perf_counter() - began)
    plain, half = map(min, taken)
    return plain / half


def release_memory() -> None:
    """Gives the system what is free in the heap, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory does not suffice, and nothing of what was computed."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(each in str(error) for each in SHORTAGES)


@contextmanager
def training_environment() -> Iterator[None]:
    """Deterministic kernels where there are any, silent libraries; all random states are as before on leaving."""
    python, array = random.getstate(), np.random.get_state()
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    verbosity = chatter.get_verbosity()
    try:
        with quiet(), torch.random.fork_rng(), warnings.catch_warnings():
            if not verbose():
                warnings.simplefilter("ignore")
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, and finds only torch's own bugs
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.use_deterministic_algorithms(strict, warn_only=warn)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        chatter.set_verbosity(verbosity)
