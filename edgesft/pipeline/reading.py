"""How well a model reads its rows: the share of tokens that are cut off, or unknown to its tokenizer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesft.data.chunks import chunks
from edgesft.errors import Problem
from edgesft.pipeline.job import Job
from edgesft.store.keys import key
from edgesft.tasks.base import Row, Task
from edgesft.tasks.contract import Contract

READING_VERSION = 1
"""Raised when the same rows would be counted otherwise."""

PERCENTILES = (50, 90, 95, 99, 100)

LONGER = "shorter texts, or a model that reads more"

UNKNOWN = 0.05
"""Share of tokens that the tokenizer does not know from which the model reads too little of the text."""


def reading(task: Task, rows: Sequence[Row], processor: Any, contract: Contract) -> dict[str, Any]:
    """What the tokenizer makes of rows.

    Args:
        task: Says which texts of a row are read.
        rows: At least one.
        processor: The tokenizer; of what is none nothing is told.
        contract: Has the longest input.

    Returns:
        JSON values: `rows`, `tokens` (percentiles of a row's longest text), `cut` (rows that are longer than the model
        reads; None where they are read in windows) and `unknown_tokens` (share); `rows` alone where there is no
        tokenizer.
    """
    if not callable(processor):
        return {"rows": len(rows), "tokens": None, "cut": None, "unknown_tokens": None}
    unknown = getattr(processor, "unk_token_id", None)
    lengths, tokens, lacking = list[int](), 0, 0
    for chunk in chunks(rows):
        texts = [task.texts(row) for row in chunk]
        flat = [text for each in texts for text in each]
        encoded = iter(processor(flat, truncation=False, padding=False, verbose=False)["input_ids"])
        for read in texts:
            found = [next(encoded) for _ in read]
            lengths.append(max(map(len, found)))
            tokens += sum(map(len, found))
            lacking += sum(ids.count(unknown) for ids in found)
    each = np.asarray(lengths)
    return {
        "rows": len(each),
        "tokens": percentiles(each),
        "cut": None if "stride" in contract.options else int((each > contract.options["max_length"]).sum()),
        "unknown_tokens": lacking / max(1, tokens),
    }


def percentiles(found: np.ndarray) -> dict[str, int]:
    """`PERCENTILES` of whole numbers, by name."""
    return {f"p{p}" if p < 100 else "max": int(np.percentile(found, p)) for p in PERCENTILES}


def findings(told: Mapping[str, Mapping[str, Any]], longest: int, most: int | None = None) -> list[Problem]:
    """What of it will hurt.

    Args:
        told: A `reading` by split.
        longest: The recipe's `max_length`.
        most: What it may be with this model.
    """
    found = []
    for name, each in told.items():
        if cut := each["cut"]:
            message = f"data.{name}: {cut:,} of {each['rows']:,} rows ({cut / each['rows']:.1%}) are longer than "
            message += f"max_length {longest} tokens and are cut off"
            wanted = min(max(each["tokens"]["p99"], longest + 1), most or math.inf)
            longer = f"data.max_length={wanted}, which takes more time on the device"
            found.append(Problem(message, longer if wanted > longest else LONGER))
        if (each["unknown_tokens"] or 0) >= UNKNOWN:
            message = f"data.{name}: the tokenizer does not know {each['unknown_tokens']:.1%} of the tokens"
            found.append(Problem(message, "a model that was pretrained on this language"))
    return found


def warnings(job: Job) -> list[str]:
    """What a run should say of it; counted once, then kept in the store."""
    facts = {"kind": "reading", "version": READING_VERSION, **job.facts, "data": job.data_digest}

    def count() -> dict[str, Any]:
        return {name: reading(job.task, rows, job.processor, job.contract) for name, rows in job.splits.rows().items()}

    told = job.store.record(key(facts), count)
    found = findings(told, job.recipe.data.max_length, job.task.limit(job.model))
    return [f"{each.message}; try {each.hint}" for each in found]
