"""Boxes: read from COCO's files, learnt, compressed, suppressed beside the graph and in it, shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft import api
from edgesft.data import boxed
from edgesft.data.media.image import Pipeline, detections, overlaps
from edgesft.data.media.medium import File
from edgesft.errors import InputError
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.report import table
from edgesft.report.html.answers import answers
from edgesft.ship.pack import Order, pack
from edgesft.ship.verify import verify
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx
from edgesft.stages.export.checks import check_file, file_run, parity
from edgesft.tasks.models import factory
from edgesft.tasks.object_detection import ObjectDetection
from edgesft.train import checkpoint
from edgesft.train.drift import drift_of
from tests import chain, tiny

pytest.importorskip("PIL")

HERE = Path(__file__).parent
TASK = ObjectDetection()
MODEL = {"factory": "nets:detector", "path": str(HERE)}
OWN = factory.resolve(FactorySpec.model_validate(MODEL), HERE)
NOISE = {"flip": 0.5, "turn": 0.5, "mosaic": 0.3, "crop": 0.2, "colour": 0.1}


def contract(**options: Any) -> Any:
    return TASK.contract(tiny.boxed(8), TASK.implied(OWN, options))


def recipe(folder: Path, counts: tuple[int, int, int] = (24, 12, 12), **changes: Any) -> Path:
    """A recipe on COCO's files."""
    for seed, (name, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        tiny.save_boxed(folder / "cells", name, tiny.boxed(count, seed))
    data = {name: f"cells/{name}.json" for name in ("train", "validation", "test")}
    changes = {"data": data, "budget": {"size_ratio": 0.95}, "model": MODEL, **changes}
    return chain.write(folder, HERE, task="object-detection", **changes)


def test_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = (
        {**chain.STAGES[0], "epochs": 15, "learning_rate": 5.0e-3},
        {**chain.STAGES[1], "parameters": 0.7, "learning_rate": 3.0e-3, "epochs": 2, "teacher": "finetune"},
        {**chain.STAGES[2], **NOISE, "hidden_weight": 0, "learning_rate": 1.0e-3},
        {**chain.STAGES[3], "scheme": "int8-static"},
    )
    place = recipe(tmp_path, (160, 32, 32), stages=stages)
    api.run(
        place, ["data.boxes={suppression: graph, iou: 0.5}"], output=tmp_path / "run", progress=Progress(quiet=True)
    )
    run = tmp_path / "run"
    results = json.loads((run / "results.json").read_text("utf-8"))
    assert [row["stage"] for row in results["stages"]] == ["finetune", "prune", "distill", "quantize"]
    assert all(row["metrics"]["test"]["map50"] > 0.6 for row in results["stages"]), results["stages"]
    assert results["stages"][-1]["size_bytes"] < results["stages"][0]["size_bytes"]
    assert results["metric"] == "map"
    assert {each["name"] for each in results["evaluation"]["classes"]} == {"green", "red"}
    assert "map50" in table.render(results) and "map50" in answers(results["evaluation"], "test")
    # The device's own code, with what ships beside the model, finds the boxes.
    inputs = [Value("x", "float32", (1, 3, 32, 32))]
    source = find(run / "model.onnx", kind=None, inputs=inputs)
    device, ask = Pipeline(str(source.folder), source.options), file_run({"model": run / "model.onnx"})
    wanted = tiny.boxed(32, 2)
    right = count = 0
    for number, row in enumerate(wanted, 1):
        told = device.after(ask(device.before({"image": str(tmp_path / f"cells/images/test-{number:04}.png")})))
        sides = np.asarray([each["box"] for each in told["boxes"]]).reshape(-1, 4) * 32
        over = overlaps(
            *(boxes + boxes[:, [2, 3, 2, 3]] * [0.5, 0.5, 0, 0] for boxes in (np.asarray(row["boxes"]), sides))
        )
        said = [each["label"] for each in told["boxes"]]
        right += sum(
            any(v > 0.5 and said[i] == label for i, v in enumerate(own))
            for label, own in zip(row["labels"], over, strict=True)
        )
        count += len(row["labels"])
    assert right > 0.6 * count
    bundle = pack(Order(run, tmp_path / "bundle"), Progress(quiet=True)).path
    assert verify(bundle).holds, verify(bundle).findings
    shipped = json.loads((bundle / "contract.json").read_bytes())
    assert shipped["decoding"]["kind"] == "boxes" and shipped["decoding"]["kept"] == "kept"
    assert shipped["preparation"]["kind"] == "image" and 0 < shipped["decoding"]["least_score"] < 1


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a detector of random weights, biased to see something everywhere."""
    torch.manual_seed(0)
    said = contract()
    model = TASK.load_model(OWN, said)
    torch.nn.init.normal_(model.model.head.bias)
    folder = tmp_path_factory.mktemp("detector")
    checkpoint.save(model, folder, TASK.load_processor(OWN, said), said)
    return folder


def test_suppression_in_the_graph_and_beside_it(learned: Path, tmp_path: Path) -> None:
    rows, model, found = tiny.boxed(10), checkpoint.load(learned, TASK), []
    for suppression in ("beside", "graph"):
        said = contract(boxes={"suppression": suppression, "iou": 0.4, "most": 20})
        processor = TASK.load_processor(OWN, said)
        examples = TASK.encode(rows, processor, said)
        folder = tmp_path / suppression
        graphs = export_onnx(model, TASK, processor, examples, said, folder, opset=20)
        check_file(folder / "model.onnx", graphs[0], 20)
        assert parity({"model": folder / "model.onnx"}, graphs, TASK, processor, examples).difference < 1e-4
        ask = file_run({"model": folder / "model.onnx"})
        found.append(TASK.predict(ask, examples, processor))
        assert ("kept" in ask({"x": TASK.collate(examples, processor)["x"]})) == (suppression == "graph")
    assert found[0].shape == (10, 20, 6) and (found[0][..., 5] >= 0).any(1).all()
    np.testing.assert_allclose(*found, atol=1e-5)
    for row in found[0]:
        for label in (0, 1):
            own = row[row[:, 5] == label]
            assert (overlaps(own[:, :4], own[:, :4]) - np.eye(len(own)) <= 0.4 + 1e-6).all()


def test_a_detector_with_a_score_for_nothing_says_each_object_once() -> None:
    boxes = np.tile(np.float32([0.5, 0.5, 0.2, 0.2]), (3, 1))
    logits = np.float32([[4, 0, 0], [3, 0, 0], [0, 0, 5]])
    assert len(detections({"logits": logits, "pred_boxes": boxes}, 2, iou=0.5, most=9)) == 4
    assert len(detections({"logits": logits, "pred_boxes": boxes}, 3, iou=0.5, most=9)) == 3


def test_a_detector_of_transformers(tmp_path: Path) -> None:
    """Queries that were trained as a set: one of them answers for an object."""
    from transformers import YolosConfig, YolosForObjectDetection

    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=[32, 32],
        patch_size=8, num_detection_tokens=6, num_labels=2,
    )  # fmt: skip
    YolosForObjectDetection(config).save_pretrained(tmp_path / "yolos")
    rows = tiny.boxed(12)
    options = TASK.implied(tmp_path / "yolos", {"image": {"resize": [32, 32]}})
    said = TASK.contract(rows, options)
    assert TASK.check_model(tmp_path / "yolos", said) == []
    model, processor = TASK.load_model(tmp_path / "yolos", said), TASK.load_processor(tmp_path / "yolos", said)
    examples = TASK.encode(rows, processor, said)
    batch = {name: torch.as_tensor(value) for name, value in TASK.collate(examples, processor).items()}
    optimiser, losses = torch.optim.AdamW(model.parameters(), 3e-3), []
    for _ in range(40):
        loss = TASK.loss(model(pixel_values=batch["pixel_values"]), batch["labels"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    graphs = export_onnx(model, TASK, processor, examples, said, tmp_path / "onnx", opset=20)
    assert graphs[0].outputs == ("logits", "pred_boxes")
    assert parity({"model": tmp_path / "onnx/model.onnx"}, graphs, TASK, processor, examples).difference < 1e-4


def test_a_student_is_as_far_as_its_answers_are() -> None:
    said = contract()
    processor = TASK.load_processor(OWN, said)
    batch = {
        name: torch.as_tensor(each)
        for name, each in TASK.collate(TASK.encode(tiny.boxed(4), processor, said), processor).items()
    }
    torch.manual_seed(0)
    logits, boxes = torch.randn(4, 9, 2), torch.rand(4, 9, 4) * 0.3 + 0.2
    teacher = {"logits": logits, "pred_boxes": boxes}
    drift = drift_of(TASK)
    assert float(drift(teacher, teacher, batch)) == pytest.approx(0, abs=1e-5)
    near, far = ({"logits": logits + step, "pred_boxes": boxes + step / 10} for step in (0.1, 1.0))
    assert 0 < float(drift(near, teacher, batch)) < float(drift(far, teacher, batch))
    nothing = {"logits": torch.cat([logits, torch.zeros(4, 9, 1)], 2), "pred_boxes": boxes}
    chances = TASK.distributions(nothing, batch)[..., :2].sigmoid()
    torch.testing.assert_close(chances, nothing["logits"].softmax(2)[..., :2], rtol=1e-4, atol=1e-5)


def test_pictures_without_boxes_are_rows() -> None:
    said = contract()
    processor = TASK.load_processor(OWN, said)
    empty = [{**row, "boxes": [], "labels": []} for row in tiny.boxed(2)]
    batch = TASK.collate(TASK.encode(empty, processor, said), processor)
    assert batch["labels"].shape == (2, 1, 6) and not batch["labels"].any()
    logits = torch.zeros(2, 9, 2, requires_grad=True)
    loss = TASK.loss({"logits": logits, "pred_boxes": torch.rand(2, 9, 4)}, torch.as_tensor(batch["labels"]))
    loss.backward()
    assert (logits.grad > 0).all(), "of nothing all scores should fall"


def test_noise_keeps_boxes_where_their_objects_are() -> None:
    said = contract()
    processor = TASK.load_processor(OWN, said)
    examples = TASK.encode(tiny.boxed(24), processor, said)
    rng = np.random.default_rng(0)
    for name in NOISE:
        settings = ResolvedTraining(**{name: 0.5})
        found = TASK.disturb(examples, processor, settings, rng)
        batch = TASK.augment(TASK.collate(found, processor), processor, settings, rng)
        assert batch["x"].shape == (24, 3, 32, 32) and batch["labels"].shape[2] == 6
        assert (batch["x"] != TASK.collate(examples, processor)["x"]).any(), name
        seen = 0
        for example in found:
            for row in example["labels"]:
                x, y = (row[2:4] * 32).astype(int)
                # Its colour is the brightest in the middle of a box.
                seen += int(example["x"][:, y, x].argmax() == {0: 1, 1: 0}[int(row[:2].argmax())])
        assert seen >= 0.95 * sum(len(example["labels"]) for example in found), name
    # Rows that were changed go through as examples again.
    split = [{name: values[row] for name, values in batch.items()} for row in range(24)]
    assert (TASK.collate(split, processor)["x"] == batch["x"]).all()
    assert (TASK.references(split) == batch["labels"]).all()


def complaint(place: Path, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        check(place, settings)
    return str(caught.value)


def changed(file: Path, change: Any) -> None:
    said = json.loads(file.read_text("utf-8"))
    change(said)
    file.write_text(json.dumps(said), "utf-8")


def test_bad_boxes(tmp_path: Path) -> None:
    place = recipe(tmp_path)
    train = tmp_path / "cells/train.json"

    def outside(said: Any) -> None:
        marks = said["annotations"]
        marks[0]["bbox"], marks[1]["bbox"], marks[2]["bbox"] = [-5, 3, 20, 10], [40, 40, 9, 9], [3, 3, 0, 4]
        marks[3] |= {"iscrowd": 1, "bbox": None, "segmentation": {}}

    changed(train, outside)
    warnings = check(place).warnings
    assert "data.train: 1 boxes reach beyond their picture and are clipped to it" in warnings
    assert "data.train: 2 boxes have no size within their picture and are left out" in warnings
    assert not any("no box is of" in each for each in warnings)
    changed(train, lambda said: said["categories"].append({"id": 8, "name": "blue"}))
    told = "data.train: no box is of the category blue: the model learns no such class"
    assert told in check(place).warnings
    changed(tmp_path / "cells/test.json", lambda said: said["annotations"].clear())
    assert any("data.test: no picture has a box of green, red" in each for each in check(place).warnings)
    changed(train, lambda said: said["annotations"][5].update(category_id=99))
    assert "annotations[5] must name one of categories, got category_id 99" in complaint(place)
    changed(train, lambda said: said["annotations"][5].update(category_id=3, bbox=[1, 2, 3]))
    assert "annotations[5] must have a bbox of left, top, width and height, got [1, 2, 3]" in complaint(place)
    changed(train, lambda said: said.pop("categories"))
    assert "'categories' must be a list, got nothing" in complaint(place)


def test_pictures_that_do_not_open_and_classes_that_train_lacks(tmp_path: Path) -> None:
    place = recipe(tmp_path)
    (tmp_path / "cells/images/train-0001.png").write_bytes(b"no picture")
    (tmp_path / "cells/images/train-0002.png").unlink()
    said = complaint(place)
    assert "data.train: 2 of 24 pictures (8.33%) cannot be read" in said and "train-0002.png" in said
    assert any("they are left out" in each for each in check(place, ["data.unreadable=0.1"]).warnings)
    red = lambda said: [each.update(category_id=3) for each in said["annotations"]]  # noqa: E731
    changed(tmp_path / "cells/train.json", red)
    assert "data.validation: has classes that train lacks: 'red'" in complaint(place, "data.unreadable=0.1")


def test_pictures_that_the_boxes_were_not_drawn_on(tmp_path: Path) -> None:
    """EXIF turns a picture after its boxes were drawn; another is of half the resolution of the one that had them."""
    from PIL import Image

    place, pictures = recipe(tmp_path), tmp_path / "cells/images"
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (32, 24)).save(pictures / "train-0001.png", exif=turned)
    Image.new("RGB", (16, 16)).save(pictures / "train-0002.png")
    changed(tmp_path / "cells/train.json", lambda said: said["images"][0].update(width=32, height=24))
    said = complaint(place)
    assert "data.train: 2 of 24 pictures (8.33%) have other sides than those that their boxes were drawn on" in said
    assert "it is 24 wide and 32 high, its boxes were drawn on 32 wide and 24 high, as before its EXIF turns it" in said
    assert "it is 16 wide and 16 high, its boxes were drawn on 32 wide and 32 high)" in said
    checked = check(place, ["data.unreadable=0.1"])
    assert any("drawn on 32 wide and 32 high); they are left out" in each for each in checked.warnings)
    assert checked.rows is not None and len(checked.rows.train) == 22
    (pictures / "train-0003.png").unlink()
    said = complaint(place, "data.unreadable=0.1")
    assert "1 of 24 pictures (4.17%) cannot be read" in said and "2 of 24 pictures (8.33%) have other sides" in said
    # What the file leaves out, or says as it is read, is no fault.
    changed(tmp_path / "cells/train.json", lambda said: said["images"][0].update(width=24, height=32))
    changed(tmp_path / "cells/train.json", lambda said: said["images"][1].update(width=0, height=None))
    assert "have other sides" not in complaint(place)


def test_models_and_readings_that_do_not_fit(tmp_path: Path) -> None:
    place = recipe(tmp_path)
    assert "must read whole pictures at one size" in complaint(place, "data.image={crop: [16, 16]}")
    assert "must read whole pictures at one size" in complaint(place, "data.image={resize: 16}")
    said = contract()
    processor = TASK.load_processor(OWN, said)
    labels = torch.as_tensor(TASK.collate(TASK.encode(tiny.boxed(2), processor, said), processor)["labels"])
    with pytest.raises(InputError, match="must answer logits and pred_boxes by name, got logits"):
        TASK.loss({"logits": torch.zeros(2, 4, 2)}, labels)
    with pytest.raises(InputError, match=r"\[rows, places, classes\]"):
        TASK.loss({"logits": torch.zeros(2, 4, 2), "pred_boxes": torch.zeros(2, 5, 4)}, labels)
    with pytest.raises(InputError, match="a score for each of 2 labels, or one more for 'no object', got 80"):
        TASK.loss({"logits": torch.zeros(2, 4, 80), "pred_boxes": torch.zeros(2, 4, 4)}, labels)


def test_rows_of_json_lines(tmp_path: Path) -> None:
    """Boxes need no file of COCO's: a row may have them."""
    from PIL import Image

    Image.fromarray(tiny.boxed(1)[0]["image"]).save(tmp_path / "a.png")  # type: ignore[arg-type]
    row = {"image": File(tmp_path / "a.png"), "boxes": [[8, 0, 16, 16]], "labels": ["red"]}
    np.testing.assert_allclose(boxed.shares(row), [[0.5, 0.25, 0.5, 0.5]])
    np.testing.assert_allclose(boxed.shares({**row, "drawn_on": [32, 32]}), [[0.5, 0.25, 0.5, 0.5]])
    for wrong, told in (([64, 48], "drawn on 48 wide and 64 high"), ("64x64", r"must be \[height, width\]")):
        with pytest.raises(InputError, match=told):
            boxed.shares({**row, "drawn_on": wrong})
    assert boxed.problems({"rows": [row]}) == [], "as a check has them, without the training rows"
    assert boxed.problems({"train": [row]}) == []
    for wrong in ({"boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]}, {"boxes": "none"}, {"boxes": [[1, 2, 3]]}):
        assert "one label a box. Row 1 has" in boxed.problems({"train": [{**row, **wrong}]})[0].message
    assert "must hold a box, got none" in boxed.problems({"train": [{**row, "boxes": [], "labels": []}]})[0].message
