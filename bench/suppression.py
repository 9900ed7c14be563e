"""A detector that suppresses boxes in its graph beside the same one whose boxes are suppressed after it.

Of a run's model two folders are made, `beside` and `graph`, which differ in that alone, and that they see the same is
checked. What pictures of the run's test rows take, decoding and all, is then measured one beside the other:

    python bench/suppression.py runs/cells runs/suppression
    edgesft bench runs/suppression/beside/model.onnx runs/suppression/graph/model.onnx --scenario end-to-end \
        --pipeline image --inputs runs/suppression/rows.jsonl
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import onnx
import torch
import yaml
from onnx import compose
from torch import nn

from edgesft.data import loading
from edgesft.data.media.image import Pipeline
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.stages.export.checks import file_run
from edgesft.tasks.detection import suppression
from edgesft.tasks.detection.boxes import KEPT

READ = {"logits": "logits_read", "pred_boxes": "boxes_read"}
"""A detector's outputs → what the graph behind them calls them."""


class Tail(nn.Module):
    """Which of a detector's scores are left."""

    def __init__(self, iou: float, most: int) -> None:
        super().__init__()
        self._iou, self._most = iou, most

    def forward(self, logits: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        """Bool of the shape of the scores."""
        found: torch.Tensor = torch.ops.edgesft.kept(boxes, logits.sigmoid(), self._iou, self._most)
        return found


def tail(places: int, classes: int, iou: float, most: int, opset: int) -> onnx.ModelProto:
    """What comes behind a detector's outputs."""
    program = torch.onnx.export(
        Tail(iou, most),
        (torch.rand(2, places, classes), torch.rand(2, places, 4)),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC}),
        input_names=list(READ.values()),
        output_names=[KEPT],
        opset_version=opset,
        custom_translation_table=dict(suppression.OPERATORS),
        verbose=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        program.save(place := str(Path(folder) / "tail.onnx"))
        return onnx.load(place)


def make(run: Path, out: Path) -> None:
    """Fills the two folders."""
    contract = json.loads((run / "contract.json").read_text("utf-8"))
    options = contract["options"]
    for name in ("beside", "graph"):
        (out / name).mkdir(parents=True, exist_ok=True)
        said = {**contract, "options": {**options, "boxes": {**options["boxes"], "suppression": name}}}
        (out / name / "contract.json").write_text(json.dumps(said), "utf-8")
    shutil.copy(run / "model.onnx", out / "beside")
    model = onnx.load(str(run / "model.onnx"))
    logits = next(each for each in model.graph.output if each.name == "logits")
    _, places, classes = (axis.dim_value for axis in logits.type.tensor_type.shape.dim)
    opset = next(each.version for each in model.opset_import if not each.domain)
    behind = tail(places, classes, options["boxes"]["iou"], options["boxes"]["most"], opset)
    behind.ir_version = model.ir_version
    merged = compose.merge_models(
        model, compose.add_prefix(behind, "behind_", rename_inputs=False, rename_outputs=False),
        list(READ.items()), outputs=[*READ, KEPT],
    )  # fmt: skip
    onnx.save(merged, str(out / "graph" / "model.onnx"))


def rows(run: Path, out: Path) -> list[dict[str, str]]:
    """Writes and gives the test pictures."""
    test = Path(yaml.safe_load((run / "recipe.yaml").read_text("utf-8"))["data"]["test"])
    found = [{"image": str(test.parent / row["image"])} for row in loading.read(test)]
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    return found


def seen(folder: Path, pictures: list[dict[str, str]]) -> list[object]:
    """What the detector of a folder answers, as a device would."""
    ask = file_run({"model": folder / "model.onnx"})
    shape = json.loads((folder / "contract.json").read_text("utf-8"))["options"]
    inputs = [Value(shape["input"], "float32", (1, 3, *shape["resize"]))]
    source = find(folder / "model.onnx", kind="image", inputs=inputs)
    device = Pipeline(str(source.folder), source.options)
    return [device.after(ask(device.before(row))) for row in pictures]


def main() -> None:
    """Makes the folders and checks them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    make(given.run, given.out)
    pictures = rows(given.run, given.out)
    ours, theirs = (seen(given.out / name, pictures) for name in ("beside", "graph"))
    alike = sum(one == other for one, other in zip(ours, theirs, strict=True))
    print(f"{alike} of {len(pictures)} pictures have the same answer")


if __name__ == "__main__":
    main()
