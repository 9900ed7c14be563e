"""What training sets in the process, and puts back: randomness, determinism, the libraries' chatter."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from transformers.utils import logging as chatter

from edgesft.tasks.pretrained import quiet


def arithmetic(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Literal["fp32", "bf16"]:
    """The number format to train in: `auto` takes bf16 where the device has matrix instructions for it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        able = torch.cpu.get_capabilities()
        fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    else:
        fast = False
    return "bf16" if fast else "fp32"


@contextmanager
def training_surroundings() -> Iterator[None]:
    """Deterministic kernels where there are any, silent libraries; all random states are as before on leaving."""
    python, array = random.getstate(), np.random.get_state()
    strict, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    verbosity = chatter.get_verbosity()
    try:
        with quiet(), torch.random.fork_rng(), warnings.catch_warnings():
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
