"""Pictures: read as the contract says, learnt, compressed, answered alike by the device's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft import api
from edgesft.data.media import images
from edgesft.errors import InputError
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export.checks import file_run
from edgesft.tasks.image_classification import ImageClassification, Pictures
from edgesft.tasks.models import factory
from edgesft.train import checkpoint
from tests import chain, tiny

pytest.importorskip("PIL")

HERE = Path(__file__).parent
TASK = ImageClassification()


def contract(source: Path, **image: Any) -> Any:
    return TASK.contract(tiny.pictured(4), TASK.implied(source, {"image": image} if image else {}))


def recipe(folder: Path, model: Any, counts: tuple[int, int, int] = (120, 40, 40), **changes: Any) -> Path:
    """A recipe on folders of pictures."""
    data = {}
    for seed, (name, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        tiny.save_pictures(folder / "pictures" / name, tiny.pictured(count, seed))
        data[name] = "pictures"
    changes = {"data": data, "budget": {"size_ratio": 0.95}, **changes}
    return chain.write(folder, HERE, model=model, task="image-classification", **changes)


def test_the_whole_chain(resnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    noise = {"flip": 0.5, "shift": [0.1, 0.1], "mixup": 0.2, "cutmix": 0.2, "colour": 0.1, "erasing": 0.2, "crop": 0.1}
    stages = (
        {**chain.STAGES[0], "epochs": 12, "learning_rate": 1.0e-2, "flip": 0.5, "shift": [0.1, 0.1]},
        {**chain.STAGES[1], "parameters": 0.6, "learning_rate": 5.0e-3, "epochs": 3},
        {**chain.STAGES[2], **noise, "hidden_weight": 0, "learning_rate": 1.0e-3},
        {**chain.STAGES[3], "scheme": "int8-static"},
    )
    tiny.save_pictures(tmp_path / "others", tiny.pictured(8, seed=9))
    place = recipe(tmp_path, str(resnet), (240, 60, 60), stages=stages)
    api.run(place, ["data.unknown=others"], output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert [row["stage"] for row in results["stages"]] == ["finetune", "prune", "distill", "quantize"]
    assert all(row["metrics"]["test"]["accuracy"] > 0.8 for row in results["stages"]), results["stages"]
    assert results["stages"][-1]["size_bytes"] < results["stages"][0]["size_bytes"]
    assert 0 <= results["evaluation"]["open_world"]["auroc"] <= 1
    # The device's own code, with what ships beside the model, makes the same answers of the same files.
    said = json.loads((tmp_path / "run" / "contract.json").read_text("utf-8"))
    assert (said["options"]["resize"], said["options"]["mean"]) == ([16, 16], [0.4, 0.4, 0.4])
    source = find(tmp_path / "run" / "model.onnx", kind=None, inputs=[Value("pixel_values", "float32", (1, 3, 16, 16))])
    from edgesft.data.media.image import Pipeline

    device, ask = Pipeline(str(source.folder), source.options), file_run({"model": tmp_path / "run" / "model.onnx"})
    files = sorted((tmp_path / "pictures" / "test").rglob("*.png"))
    told = [device.after(ask(device.before({"image": str(file)}))) for file in files]
    right = np.mean([answer["label"] == file.parent.name for answer, file in zip(told, files, strict=True)])
    assert right == pytest.approx(results["stages"][-1]["metrics"]["test"]["accuracy"])
    assert {"label", "score", "known"} == set(told[0])


def test_a_model_of_ones_own_on_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey pictures of a zip archive, few of each class, in the store."""
    import zipfile

    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    model = {"factory": "nets:image", "path": str(HERE)}
    stages = ({**chain.STAGES[0], "epochs": 8, "learning_rate": 1.0e-2},)
    place = recipe(tmp_path, model, stages=stages, budget={})
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in sorted((tmp_path / "pictures").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path / "pictures"))
    data = ["data.train=p.zip#train", "data.validation=p.zip#validation", "data.test=p.zip#test"]
    more = ["data.image={colour: L, mean: 0.4, std: 0.3}", "data.per_class=50", "data.on_disk=true"]
    api.run(place, [*data, *more], output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["stages"][0]["metrics"]["test"]["accuracy"] > 0.8
    said = json.loads((tmp_path / "run" / "contract.json").read_text("utf-8"))
    assert (said["options"]["input"], said["options"]["colour"]) == ("x", "L")


def test_what_the_model_says_and_what_the_recipe_says(resnet: Path, tmp_path: Path) -> None:
    assert contract(resnet).options["resize"] == [16, 16]
    both = contract(resnet, crop=[8, 8], std=[1, 1, 1]).options
    assert (both["resize"], both["crop"], both["std"], both["mean"]) == ([16, 16], [8, 8], [1, 1, 1], [0.4, 0.4, 0.4])
    # What a run left reads as it did, whatever transformers' file cannot say.
    model = TASK.load_model(resnet, contract(resnet))
    checkpoint.save(
        model, tmp_path / "model", Pictures(both), TASK.contract(tiny.pictured(4), {"image": both_of(both)})
    )
    assert contract(tmp_path / "model").options == both
    (tmp_path / "model" / "contract.json").unlink()
    assert contract(tmp_path / "model").options == both
    assert TASK.read_alike(resnet, tmp_path / "model", {}) is False
    assert TASK.read_alike(resnet, tmp_path / "model", {"image": both_of(both)}) is True


def both_of(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("colour", "resize", "resample", "crop", "scale", "mean", "std")}


def test_a_convnext_file_means_a_larger_picture_and_its_centre(resnet: Path, tmp_path: Path) -> None:
    said = {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "do_normalize": True}
    said |= {"do_resize": True, "size": {"shortest_edge": 224}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    tiny.save_resnet(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said), "utf-8")
    found = contract(tmp_path).options
    assert (found["resize"], found["crop"], found["scale"]) == (256, [224, 224], 1 / 255)


@pytest.mark.parametrize("model_type", ["vit", "resnet"])
def test_pictures_of_another_size(model_type: str, resnet: Path, tmp_path: Path) -> None:
    tiny.save_resnet(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    changed = {**config, "model_type": model_type, "image_size": 224}
    (tmp_path / "config.json").write_text(json.dumps(changed), "utf-8")
    problems = TASK.check_model(tmp_path, contract(tmp_path))
    if model_type == "resnet":
        assert problems == []
    else:
        assert "must give pictures of [224, 224], the one size of this model, got [16, 16]" in str(problems[0])
        assert TASK.check_model(tmp_path, contract(tmp_path, resize=[224, 224])) == []
    grey = TASK.check_model(tmp_path, contract(tmp_path, colour="L"))
    assert "must give 3 channels, which this model reads, got 1" in str(grey[0])


def test_models_that_cannot(bert: Path, tmp_path: Path) -> None:
    said = str(TASK.check_model(bert, contract(bert))[0])
    assert "must have an image classification head in transformers, got model_type 'bert'" in said
    assert "mobilenet_v1" in said and "module:function" in said
    spec = {"factory": "nets:image", "path": str(HERE), "inputs": ["x", "y"], "metric": "r2"}
    told = TASK.check_model(factory.resolve(FactorySpec.model_validate(spec), HERE), contract(bert))
    assert ["model.inputs" in told[0].message, "model.metric" in told[1].message] == [True, True]


def complaint(place: Path, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        check(place, settings)
    return str(caught.value)


def test_pictures_that_do_not_open(resnet: Path, tmp_path: Path) -> None:
    place = recipe(tmp_path, str(resnet))
    train = tmp_path / "pictures" / "train"
    whole = (train / "lying" / "0000.png").read_bytes()
    (train / "lying" / "0000.png").write_bytes(whole[: len(whole) // 2])
    (train / "standing" / "0001.png").write_bytes(b"")
    said = complaint(place)
    assert "data.train: 2 of 120 pictures (1.67%) cannot be read" in said and "lying/0000.png" in said
    assert "data.unreadable states the share that may be left out" in said
    checked = check(place, ["data.unreadable=0.02"])
    assert any("2 of 120 pictures (1.67%) cannot be read" in each for each in checked.warnings), checked.warnings
    assert any("they are left out" in each for each in checked.warnings)


def test_pictures_of_other_channels_and_sizes(resnet: Path, tmp_path: Path) -> None:
    from PIL import Image

    place = recipe(tmp_path, str(resnet))
    train = tmp_path / "pictures" / "train"
    for name, mode, size in (("a", "L", (20, 30)), ("b", "RGBA", (12, 12)), ("c", "I;16", (12, 12))):
        Image.new(mode, size, 9 if mode != "RGBA" else (1, 2, 3, 4)).save(train / "lying" / f"{name}.png")
    warnings = check(place).warnings
    assert "data.train: 1 pictures are grey and are read as RGB" in warnings
    assert any("of four channels, of which transparency is dropped" in each for each in warnings)
    own = {"factory": "nets:image", "path": str(HERE)}
    place = recipe(tmp_path, own)
    said = complaint(place)
    assert "data.train: pictures must be of one size, got 2 from 12x12 to 30x20" in said
    assert "data.image.resize" in said
    check(place, ["data.image.resize=[12, 12]"])


def test_pictures_of_32_bits_are_refused_and_16_in_them_are_not(resnet: Path, tmp_path: Path) -> None:
    from PIL import Image

    place = recipe(tmp_path, str(resnet))
    folder = tmp_path / "pictures" / "train" / "lying"
    Image.fromarray(np.full((12, 12), 0.5, np.float32)).save(folder / "a.tif")
    Image.fromarray(np.full((12, 12), 70_000, np.int32)).save(folder / "b.tif")
    said = complaint(place)
    assert "2 of 122 pictures (1.64%) cannot be read" in said
    assert "its pixels have 32 bits (mode F), of which nothing says what is white" in said and "(mode I)" in said
    grey = b"P5 4 2 65535\n" + np.full((2, 4), 0x7F31, ">u2").tobytes()
    reader = images.reader_of(images.WHOLE)
    assert (reader.pixels(grey) == 0x7F).all()


def test_a_folder_with_one_class(resnet: Path, tmp_path: Path) -> None:
    import shutil

    place = recipe(tmp_path, str(resnet))
    shutil.rmtree(tmp_path / "pictures" / "train" / "lying")
    said = complaint(place)
    assert "data.train: must hold at least two labels, got only 'standing'" in said
    assert "a folder for each class" in said


def test_the_same_picture_in_train_and_test(resnet: Path, tmp_path: Path) -> None:
    import shutil

    place = recipe(tmp_path, str(resnet))
    pictures = tmp_path / "pictures"
    shutil.copy(pictures / "train" / "lying" / "0000.png", pictures / "test" / "lying" / "copy.png")
    assert "data.test: 1 of 41 rows (2.44%) are also in train" in complaint(place)


def test_a_factory_with_too_few_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, rows = ImageClassification(), tiny.pictured(4)
    many = task.contract([{**row, "label": number} for number, row in enumerate(rows)], {})
    with pytest.raises(InputError, match="must give a score for each of 4 labels, got 2"):
        task.score(np.zeros((4, 2)), np.zeros(4, int), many)
    # The preflight asks before anything is trained.
    for shape, got in ((3, 6), "6"), ((3, 4, 1, 1), "shape [3, 4, 1, 1]"):
        (problem,) = task.check_outputs({"logits": np.zeros(shape)}, many)
        assert problem.message == f"model: must give a score for each of 4 labels, got {got}"
    assert not task.check_outputs({"logits": np.zeros((3, 4))}, many)
    seven = task.contract([{"image": None, "label": number} for number in range(7)], {})
    found = task.score(np.eye(7)[:3], np.arange(3), seven)
    assert found["top5"] == 1.0 and set(found) == set(task.metrics)


def test_noise_changes_pixels_and_keeps_labels(resnet: Path) -> None:
    said = contract(resnet)
    processor = Pictures(said.options)
    rows = tiny.pictured(32)
    batch = TASK.collate(TASK.encode(rows, processor, said), processor)
    assert batch["pixel_values"].dtype == np.float32 and batch["pixel_values"].shape == (32, 3, 16, 16)
    np.testing.assert_allclose(
        processor.again(processor.shown(batch["pixel_values"])), batch["pixel_values"], atol=1e-5
    )
    for name in ("flip", "crop", "cutmix", "mixup", "colour", "erasing"):
        noise = ResolvedTraining(**{name: 0.5})
        found = TASK.augment(batch, processor, noise, np.random.default_rng(0))
        assert (found["labels"] == batch["labels"]).all()
        assert found["pixel_values"].shape == batch["pixel_values"].shape, name
        assert found["pixel_values"].dtype == np.float32 and (found["pixel_values"] != batch["pixel_values"]).any(), (
            name
        )
        again = TASK.augment(batch, processor, noise, np.random.default_rng(0))
        assert (again["pixel_values"] == found["pixel_values"]).all(), name
    # Rows that were changed go through as examples again.
    split = [{name: values[row] for name, values in batch.items()} for row in range(2)]
    assert (TASK.collate(split, processor)["pixel_values"] == batch["pixel_values"][:2]).all()
