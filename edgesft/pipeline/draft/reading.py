"""The recipe's settings for reading inputs, which affect latency the most."""

from __future__ import annotations

import math

from edgesft.data.media.inspection import inspect
from edgesft.data.media.medium import Medium
from edgesft.pipeline.draft import model as models
from edgesft.pipeline.draft.lines import line
from edgesft.pipeline.draft.model import Model
from edgesft.pipeline.draft.rows import Found, spread
from edgesft.tasks.base import Task

QUESTION = 384
"""Tokens of a window of a passage: the usual length of BERT's on SQuAD (Devlin et al. 2018)."""

HISTORY = 50
"""Interactions that are read (Kang and McAuley 2018, arXiv 1808.09781, on sparse data)."""

MEASURED = 200
"""Files whose sizes are looked at."""


def reading(task: Task, found: Found, model: Model) -> tuple[list[str], list[str]]:
    """Lines of `data:` for it, and what to tell of them.

    Args:
        task: What the model is for.
        found: The data.
        model: Reads them.
    """
    if task.medium is not None:
        # A model of transformers says itself how it reads files.
        return (_media(task, task.medium, found), []) if model.own else ([], [])
    if found.task == "arrays":
        return [], []
    if task.by_user:
        return [line(f"  max_length: {HISTORY}", "number of a user's latest interactions that are read")], []
    lengths = model.tokens([text for row in spread(found.rows) for text in task.texts(row)])
    if not lengths:
        return [line("  max_length: 128", "tokens; longer texts are cut off")], []
    if found.task == "question-answering":
        most = min(QUESTION, model.longest or QUESTION)
        return [line(f"  max_length: {most}", "tokens per window; longer passages are split into several")], []
    chosen = models.longest(lengths, model.longest)
    cut = sum(each > chosen for each in lengths) / len(lengths)
    note = f"tokens; {cut:.1%} of the texts are longer and are cut off (half have at most {lengths[len(lengths) // 2]})"
    return [line(f"  max_length: {chosen}", note)], [f"data.max_length: {chosen} {note}"]


def _media(task: Task, medium: Medium, found: Found) -> list[str]:
    """What most of the files are, for a model of one's own."""
    rows = spread(found.rows, MEASURED)
    counted = sorted(inspect(medium, rows).seen.items(), key=lambda item: -item[1])
    values: dict[str, list[str]] = {}
    for (kind, value), _ in counted:
        values.setdefault(kind, []).append(value)
    if not values:
        return []  # None of them can be read, which whoever checks the recipe tells.
    if medium.role == "image":
        sides = [int(side) for side in values["size"][0].split("x")]
        note = f"[height, width]; {len(values['size'])} sizes were seen"
        note += "; all are grey: `colour: L` reads one channel" if values["mode"] == ["L"] else ""
        return [line(f"  image: {{resize: {sides}}}", note)]
    if medium.field != "audio":  # frames of a stream, or speech
        return [line(f"  {medium.field}: {{rate: {values['rate'][0]}}}", "samples per second")]
    seconds = math.ceil(10 * max(map(float, values["seconds"]))) / 10
    note = f"the longest of {len(rows)} sounds has {seconds:g} s"
    return [line(f"  audio: {{rate: {values['rate'][0]}, seconds: {seconds:g}}}", note)]
