"""Writes the contract of a run's model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgesft.ship.contract import SCHEMA, SCHEMA_VERSION, values
from edgesft.ship.graph import Graph
from edgesft.ship.variant import MODEL
from edgesft.spec.media import ImageSpec
from edgesft.tasks.base import Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.decoder import turns
from edgesft.tasks.metrics.calibration import ACCEPT

PROCESSOR = "processor"
"""Folder of the files that make inputs of raw rows."""

TOKENIZER, TOKENIZER_CONFIG, PICTURES = "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"

FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""Input → attribute of an encoding, as the library tokenizers calls it."""

SCORE = "max(logits) - mean(logits) + log(sum(exp(logits - max(logits))))"
"""`tasks.calibration.known`, written out."""

OF_NO_USE = ("path", "about")
"""Options that no device has a use for: a folder of this machine; what is known of items, which the model has in it."""


def describe(
    task: Task, contract: Contract, graphs: Mapping[str, Graph], folder: Path, tokenizer: Callable[[], Any]
) -> dict[str, Any]:
    """What `contract.json` of a bundle holds.

    Args:
        task: What the model is for.
        contract: Of the run.
        graphs: What each graph of its model says of itself; `model` and those beside it.
        folder: Of the run.
        tokenizer: Gives what renders conversations; called where the task has such.
    """
    graph, beside = graphs[MODEL], {name: each for name, each in graphs.items() if name != MODEL}
    options = {name: value for name, value in contract.options.items() if name not in OF_NO_USE}
    accept = options.get(ACCEPT)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "task": contract.task,
        "labels": list(contract.labels),
        "options": options,
        "inputs": values(graph.inputs),
        "outputs": values(graph.outputs),
        **(_beside(beside, task.links(contract)) if beside else {}),
        "states": task.fed_back(contract) or _states(graph),
        "preparation": _preparation(task.preparation(contract), graphs, folder, tokenizer),
        "decoding": task.decoding(contract),
        "thresholds": {} if accept is None else {"unknown": {"accept_above": accept, "score": SCORE}},
    }


def _beside(graphs: Mapping[str, Graph], links: Mapping[str, Any]) -> dict[str, Any]:
    """Graphs beside the main one, and what feeds what."""
    ends = {name: {"inputs": values(each.inputs), "outputs": values(each.outputs)} for name, each in graphs.items()}
    return {"graphs": ends, "links": dict(links)}


def _states(graph: Graph) -> dict[str, str]:
    """Input → the output that becomes its value at the next inference; the first one is zeros."""
    from edgesft.measure.inputs import find_states
    from edgesft.measure.replies import Value

    own = [[Value(each.name, each.dtype, each.shape) for each in said] for said in (graph.inputs, graph.outputs)]
    return find_states(*own)


def _preparation(
    told: Mapping[str, Any], graphs: Mapping[str, Graph], folder: Path, tokenizer: Callable[[], Any]
) -> dict[str, Any]:
    # What is prepared goes into the graph that runs first.
    graph = next(iter(graphs.values()))
    if told["kind"] == "conversation":
        told = {**told, **turns.told(tokenizer())}
    if told["kind"] == "arrays" and (folder / PICTURES).is_file():
        # Arrays that are pictures all the same.
        from edgesft.measure.pipelines.options import image_defaults
        from edgesft.measure.replies import Value

        own = [Value(each.name, each.dtype, each.shape) for each in graph.inputs]
        said = image_defaults(folder, own)
        steps = ImageSpec(**{name: value for name, value in said.items() if name in ImageSpec.model_fields})
        feed = {name: said[name] for name in ("layout", "dtype")}
        return {"kind": "image", "columns": ["image"], **steps.model_dump(mode="json"), **feed}
    if not (folder / TOKENIZER).is_file():
        return dict(told)
    said = json.loads((folder / TOKENIZER_CONFIG).read_text("utf-8")) if (folder / TOKENIZER_CONFIG).is_file() else {}
    kept = json.loads((folder / TOKENIZER).read_text("utf-8")).get("truncation") or {}
    return {
        **told,
        "tokenizer": f"{PROCESSOR}/{TOKENIZER}",
        "fields": {each.name: FIELDS[each.name] for each in graph.inputs if each.name in FIELDS},
        "truncation_side": said.get("truncation_side") or kept.get("direction", "Right").lower(),
        "split_special_tokens": bool(said.get("split_special_tokens")),
        "padding": "none: an inference takes one row; what is fixed is filled with zeros at its end",
    }
