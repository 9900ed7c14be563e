"""What an NVIDIA GPU makes of models: with copies, without, and by a captured graph; through CUDA and TensorRT.

    python bench/gpu.py OUT [MODEL.onnx …] [--device gpu | here] [--provider CUDA | TensorRT]

Not yet run on a GPU: no machine with one was at hand. `make bench-gpu` builds the environment `gpu` of
bench/devices.yaml first; `here` measures with this interpreter, as where onnxruntime-gpu is installed already.

Writes OUT/MODEL-PROVIDER-WAY.json (what `edgesft bench --format json` prints) and prints a row a model, provider,
precision and way; what was measured is not measured again. The ways:

- host: an inference begins and ends in the host's memory, copies included: what a program sees whose input is there.
- device: inputs and outputs stay in the GPU's memory.
- host-graph, device-graph: the same, with the work captured as a CUDA graph once and repeated from then on.

The precisions of a way take turns with each other; ways are measured one after another, so that only their bounds tell
whether they differ. Without MODEL there are three with weights drawn at random, for the time does not depend on them:
`convnet` (ResNet-56 for 32x32), `encoder` (MiniLM's six layers on 64 tokens), `stream` (a recurrent cell that carries
its state). Requests are those of MODEL.npz beside MODEL.onnx, else random.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import torch
from nets import ResNet
from torch import nn

from edgesft.errors import EdgesftError
from edgesft.measure.bench.bench import bench
from edgesft.measure.bench.order import Order
from edgesft.measure.devices import HERE, Device
from edgesft.measure.devices.find import find, pool
from edgesft.progress import Progress
from edgesft.report.bench import to_json
from edgesft.spec import load
from edgesft.spec.profile import ProviderSpec
from edgesft.stages.variants import Variants
from edgesft.store.store import Store
from edgesft.tasks.base import Graph

PRECISIONS = ("fp32", "fp16", "int8")

PROVIDERS = {"CUDA": "CUDAExecutionProvider", "TensorRT": "TensorrtExecutionProvider"}

WIDTH = 256
"""Of the recurrent cell."""

WAYS = {"host": ("host", False), "device": ("device", False), "host-graph": ("host", True)}
WAYS |= {"device-graph": ("device", True)}
"""Way → where inputs and outputs lie, and whether a graph is captured."""

COLUMNS = ("model", "provider", "way", "given", "nodes on it", "off the CPU's answers", "first ms", "p50 ms", "p99")


class Encoder(nn.Module):
    """MiniLM's encoder with weights drawn at random, and a head of two classes."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
        # Other attention leaves nodes for masks without a row in the graph, which accelerators do not take.
        self.encoder = BertModel(BertConfig(**sizes, attn_implementation="eager"), add_pooling_layer=False)
        self.head = nn.Linear(sizes["hidden_size"], 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Scores, shape [rows, 2], of tokens of shape [rows, length]."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.head(hidden.mean(1))


class Cell(nn.Module):
    """A recurrent cell: its state is an input and, afterwards, an output."""

    def __init__(self) -> None:
        super().__init__()
        self.new, self.old, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Output and state, shapes [1, width]."""
        state = torch.tanh(self.new(x) + self.old(h))
        return self.out(state), state


def convnet() -> Graph:
    """ResNet-56 of CIFAR-10's shape."""
    return Graph("model", ResNet(9, 10).eval(), {"x": torch.zeros(1, 3, 32, 32)}, {}, ("logits",))


def encoder() -> Graph:
    """Six layers on 64 tokens."""
    tokens = {name: torch.ones(1, 64, dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    return Graph("model", Encoder().eval(), tokens, {}, ("logits",))


def stream() -> Graph:
    """The cell."""
    return Graph("model", Cell().eval(), {name: torch.zeros(1, WIDTH) for name in "xh"}, {}, ("y", "hn"))


MODELS: Mapping[str, Callable[[], Graph]] = {"convnet": convnet, "encoder": encoder, "stream": stream}


def options(provider: str, graph: bool, engines: Path) -> dict[str, str]:
    """Of CUDA, and of TensorRT with its engines kept, for it takes minutes to build one."""
    if provider == "CUDA":
        return {"enable_cuda_graph": str(int(graph))}
    kept = {f"trt_{name}_cache_enable": "1" for name in ("engine", "timing")}
    kept |= {f"trt_{name}_cache_path": str(engines) for name in ("engine", "timing")}
    return {**kept, "trt_cuda_graph_enable": str(int(graph))}


def measured(model: Path, provider: str, way: str, place: Device, out: Path) -> dict[str, Any]:
    """What `edgesft bench` says of a model's precisions on a provider in one of the ways."""
    progress, (io, graph) = Progress(), WAYS[way]
    profile = load.profile("this-machine", settings=[f"measure.io={io}"], without=("budget",))
    full = PROVIDERS[provider]
    asked = ProviderSpec(name=full, options=options(provider, graph, out.absolute() / "engines"))
    # What TensorRT leaves is CUDA's.
    behind = [ProviderSpec(name=name) for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name != full]
    inputs = model.with_suffix(".npz")
    order = Order(
        [model],
        profile.model_copy(update={"providers": (asked, *behind)}),
        [asked],
        inputs=inputs if inputs.is_file() else None,
        devices=[place],
        variants=Variants(Store(out / "store"), PRECISIONS, say=progress.say),
    )
    rows = bench(order, progress)
    return to_json([replace(row, name=f"{row.name} {way}") for row in rows], order.profile)


def line(row: Mapping[str, Any], provider: str, way: str) -> str:
    """A row of the table, in Markdown."""
    name, _, asked = row["name"].removesuffix(f" {way}").partition(".onnx")
    start, found = [name, provider, way, row["made"] or asked.strip()], row["measurement"]
    if found is None:
        return "| " + " | ".join([*start, *["–"] * 4, row["problem"].splitlines()[0][:160]]) + " |"
    nodes = found["placement"] or {}
    off = "–" if row["parity"] is None else f"{row['parity']['outputs'][0]['relative'] or 0:.1g}"
    off += "" if row["parity"] is None or row["parity"]["holds"] else " !"
    low, high = row["latency_bounds_ns"]["p50"]
    p50 = f"{row['latency_ns']['p50'] / 1e6:.3g} ({low / 1e6:.3g} to {high / 1e6:.3g})"
    p99 = row["latency_ns"]["p99"]
    placed = f"{nodes.get(row['provider'], 0)} of {sum(nodes.values())}" if nodes else "–"
    last = f"{p99 / 1e6:.3g}" if p99 else "n too small"
    return "| " + " | ".join([*start, placed, off, f"{found['first_ns'] / 1e6:.3g}", p50, last]) + " |"


def made(out: Path) -> list[Path]:
    """The models with weights drawn at random; those that are here stay."""
    torch.manual_seed(0)
    files = [out / f"{name}.onnx" for name in MODELS]
    for file in files:
        if not file.is_file():
            models._export(MODELS[file.stem](), file)
    return files


def remembered(model: Path, provider: str, way: str, device: Device, out: Path) -> list[Mapping[str, Any]]:
    """The rows of `measured`, from an earlier call where that measured some; none where it cannot be measured."""
    place = out / f"{model.stem}-{provider}-{way}.json"
    if place.is_file():
        return list(json.loads(place.read_text("utf-8"))["rows"])
    try:
        found = measured(model, provider, way, device, out)
    except EdgesftError as error:
        print(f"{model.stem}, {provider}, {way}: {error}", file=sys.stderr)
        return []
    # What failed is tried again by the next call.
    if any(row["measurement"] for row in found["rows"]):
        place.write_text(json.dumps(found, indent=1), "utf-8")
    return list(found["rows"])


def main() -> int:
    """Measures and prints; 4 where nothing could be measured."""
    parser = argparse.ArgumentParser(description="What an NVIDIA GPU makes of models.")
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx", help=f"by default {', '.join(MODELS)}")
    parser.add_argument("--device", default="gpu", help="of bench/devices.yaml, or here: this interpreter")
    parser.add_argument("--provider", action="append", choices=PROVIDERS, help="by default both")
    asked = parser.parse_args()
    out = asked.folder
    (out / "engines").mkdir(parents=True, exist_ok=True)
    known, base = pool(Path(__file__).parent / "devices.yaml")
    any_measured, printed = False, [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    with HERE if asked.device == "here" else find(asked.device, known, base) as device:
        for model in asked.models or made(out):
            for provider in asked.provider or PROVIDERS:
                for way in WAYS:
                    found = remembered(model, provider, way, device, out)
                    any_measured |= any(row["measurement"] for row in found)
                    printed += [line(row, provider, way) for row in found]
    print("\n".join(printed))
    (out / "table.md").write_text("\n".join(printed) + "\n", "utf-8")
    return 0 if any_measured else 4


if __name__ == "__main__":
    sys.exit(main())
