"""Image generation: the chain, noise and its way back, the same pictures on torch and on ONNX Runtime, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import edgesft
from edgesft.cli.main import main
from edgesft.data.files import sha256
from edgesft.errors import InputError, StageError
from edgesft.measure.fingerprint import machine
from edgesft.measure.generation import Painter
from edgesft.measure.saturation import saturates
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.preflight import preflight
from edgesft.progress import Progress
from edgesft.spec.generation import GenerationSpec
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx
from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize.ort import static
from edgesft.store.store import Store
from edgesft.tasks.base import Example
from edgesft.tasks.contract import Contract
from edgesft.tasks.generators.diffusion import Schedule
from edgesft.tasks.image_generation import ImageGeneration
from edgesft.tasks.models import factory
from edgesft.train.engine import fit, runner
from tests import chain, tiny

HERE = Path(__file__).parent
STEP, CLASSED, CODED = ("noisy", "time"), ("noisy", "time", "label"), ("pixels",)
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "noise": ({"factory": "nets:painter", "inputs": STEP}, {"steps": 5}),
    "v, told the class": (
        {"factory": "nets:painter", "inputs": CLASSED, "arguments": {"classes": 2}},
        {"predicts": "v", "schedule": "linear", "steps": 5},
    ),
    "autoencoder": ({"factory": "nets:coder", "inputs": CODED}, {"method": "autoencoder", "deviation": 0.1}),
}
"""Model and `data.generation` of each way to make pictures."""


class Features(nn.Module):
    """Mean, and deviation along each axis, of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean((2, 3)), x.mean(2).std(2), x.mean(3).std(2)], 1)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("features") / "features.onnx"
    return edgesft.export(Features(), {"x": torch.rand(2, 3, 12, 12)}, place)


def set_up(way: str) -> tuple[ImageGeneration, nn.Module, Any, list[Example], Contract]:
    """A task, its model as it came, its processor, and rows."""
    model, said = WAYS[way]
    spec = FactorySpec(**model, path=str(HERE))
    task, source = ImageGeneration(GenerationSpec(**said), spec.inputs), factory.resolve(spec, Path())
    rows = tiny.pictured(20)
    contract = task.contract(rows, task.implied(source, {}))
    assert not task.check({"train": rows}) and not task.check_model(source, contract)
    processor = task.load_processor(source, contract)
    torch.manual_seed(0)
    return task, task.load_model(source, contract).eval(), processor, task.encode(rows, processor, contract), contract


def recipe(folder: Path, way: str, features: Path | None = None, **changes: Any) -> Path:
    model, said = WAYS[way]
    rows = tiny.filed(tiny.pictured(500), folder / "files")
    splits = {"train": "train.jsonl", "validation": "dev.jsonl", "test": "test.jsonl"}
    generation = {**said, **({"features": str(features)} if features else {}), **changes.pop("generation", {})}
    plain = {
        "model": {**model, "inputs": list(model["inputs"]), "path": str(HERE)},
        "data": {**splits, "generation": generation},
        "budget": {"picture_ms": 1000, "size_ratio": 0.95},
        "stages": ({**chain.STAGES[0], "epochs": 6},),
    }
    return chain.write(folder, HERE, rows=rows, task="image-generation", **{**plain, **changes})


PRUNE = {"stage": "prune", "parameters": 0.7, "epochs": 2, "keep": "always", "channel_multiple": 4}
DISTILL = {"stage": "distill", "epochs": 1, "keep": "always"}
QUANTIZE = {"stage": "quantize", "scheme": "int8-static", "keep": "always"}


@pytest.mark.parametrize(
    ("way", "further"),
    [("v, told the class", (PRUNE, DISTILL)), ("autoencoder", (QUANTIZE,))],
    ids=["diffusion", "vae"],
)
def test_the_whole_chain(
    way: str,
    further: tuple[dict[str, Any], ...],
    features: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = recipe(tmp_path, way, features, stages=({**chain.STAGES[0], "epochs": 6}, *further))
    quiet = Progress(quiet=True)
    found = edgesft.run(place, output=tmp_path / "run", store=tmp_path / "store", progress=quiet)
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    tuned, *_, small = (row["metrics"]["test"] for row in results["stages"])
    metric = results["metric"]
    assert metric == ("psnr" if way == "autoencoder" else "denoising_snr")
    assert tuned[metric] > 3 and small[metric] > tuned[metric] - 1
    # What takes many inferences a row is taken of what is reported, and decides nothing.
    assert tuned["frechet"] < 0 and "frechet" not in results["stages"][0]["metrics"]["validation"]
    assert results["evaluation"]["averages"]["frechet_distance"] == pytest.approx(-small["frechet"])
    assert results["evaluation"]["features_sha256"] == sha256(features)
    lines = {line["name"]: line for line in results["budget"]}
    p50 = results["stages"][-1]["latency_ns"]["p50"] / 1e6
    assert lines["picture_ms"]["value"] == pytest.approx(p50 * (1 if way == "autoencoder" else 5), rel=0.05)
    assert results["recipe"]["data"]["generation"]["features"] == str(features)
    assert found.verdict != "fail" and chain.held(results["budget"])
    drawn = edgesft.draw(tmp_path / "run", 5, 3)
    assert drawn.pictures.shape == (5, 12, 12, 3) and drawn.pictures.std() > 5
    assert len(drawn.step_ns) == (5 if way == "autoencoder" else 25)
    grid = tmp_path / "grid.png"
    assert main(["draw", str(tmp_path / "run"), "--output", str(grid), "--count", "5", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["picture_ns"]) == 5
    from PIL import Image

    assert Image.open(grid).size == (36, 24)
    packed = edgesft.pack(tmp_path / "run", tmp_path / "bundle.zip", progress=quiet, variants=("model",))
    assert edgesft.verify(packed.path).holds


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of each way's export."""

    @cache
    def made(way: str) -> Path:
        task, model, processor, examples, contract = set_up(way)
        folder = tmp_path_factory.mktemp("exported")
        export_onnx(model, task, processor, examples, contract, folder, opset=20)
        return folder

    return made


@pytest.mark.parametrize("way", WAYS)
def test_the_same_pictures_on_torch_and_on_onnx_runtime(way: str, exported: Callable[[str], Path]) -> None:
    _, model, processor, examples, _ = set_up(way)
    folder = exported(way)
    starts, told = processor.starts(range(6)), processor.told(examples[:6]).get("label")
    ours = processor.made(runner(model), starts, told)
    theirs = processor.made(file_run({"model": folder / "model.onnx"}), starts, told)
    assert ours.shape == (6, 3, 12, 12) and np.isfinite(ours).all()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    # In place, one by one, as on a device; the same seed makes the same pictures, another one others.
    painter = Painter(folder)
    label = "lying" if told is not None else None
    one, same, other = (painter.draw(2, seed, label=label).pictures for seed in (4, 4, 5))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    alone = processor.made(runner(model), processor.starts([(4, 1)]), None if told is None else np.zeros(1, np.int64))
    assert np.abs(processor.drawn(alone)[0].astype(int) - one[1]).max() <= 1


@pytest.mark.parametrize("way", WAYS)
def test_int8_says_much_the_same(way: str, exported: Callable[[str], Path], tmp_path: Path) -> None:
    task, model, processor, examples, _ = set_up(way)
    file = exported(way) / "model.onnx"
    calibrating = task.stateful_requests(examples, processor, file_run({"model": file}))
    plan = static(file, tmp_path / "int8.onnx", calibrating, reduced=saturates(machine()))
    assert any("Conv" in name for name in plan.quantized)
    batch = processor.batch(examples)
    ours, theirs = (
        run(processor.asked(batch))[processor.answer]
        for run in (runner(model), file_run({"model": tmp_path / "int8.onnx"}))
    )
    assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(ours).max()


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_noise_grows_until_nothing_else_is_left(kind: str) -> None:
    schedule = Schedule(kind, 1000)
    assert (schedule.signal[0], schedule.noise[0]) == (1, 0)
    assert (np.diff(schedule.signal) < 0).all() and schedule.signal[-1] < 0.01
    np.testing.assert_allclose(schedule.signal**2 + schedule.noise**2, 1)
    way = schedule.way(7)
    assert (way[0][0], way[-1][1], len(way)) == (1000, 0, 7)
    assert all(after == time for (_, after), (time, _) in pairwise(way))
    assert schedule.way(1000)[-1] == (1, 0)


def test_the_linear_schedule_is_that_of_the_paper() -> None:
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(Schedule("linear", 1000).signal[1:], np.sqrt(kept))


@pytest.mark.parametrize("predicts", ["noise", "v"])
def test_who_knows_the_picture_finds_it_in_any_number_of_steps(predicts: str) -> None:
    task, model, _, examples, contract = set_up("noise")
    said = {**contract.options["generation"], "predicts": predicts, "steps": 4}
    contract = contract.extended({"generation": said})
    processor = task.load_processor(None, contract)
    clean = torch.from_numpy(processor.pictures(examples[:1])) * 0.9

    class Knowing(nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            signal, level = (
                torch.from_numpy(each[time.numpy()]).float().reshape(-1, 1, 1, 1)
                for each in (processor.schedule.signal, processor.schedule.noise)
            )
            noise = (noisy - signal * clean) / level
            return noise if predicts == "noise" else signal * noise - level * clean

    model = task.build_model({"factory": "nets:painter", "path": str(HERE), "arguments": {}}, contract)
    model.model = Knowing()
    found = processor.made(runner(Parametric(model)), processor.starts([0]))
    # From noise, float32 tells little of the picture: a hundred-thousandth of it is left.
    np.testing.assert_allclose(found, clean.numpy(), atol=1e-3)


class Parametric(nn.Module):
    """What a runner takes a device from."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner, self.place = model, nn.Parameter(torch.zeros(1))

    def forward(self, **inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return self.inner(**inputs)


def test_the_chance_of_validation_stays_and_that_of_training_does_not() -> None:
    task, _, processor, examples, _ = set_up("noise")
    one, again = processor.batch(examples), processor.batch(examples[::-1])
    assert np.array_equal(one["labels"], again["labels"][::-1])
    rng = np.random.default_rng(0)
    first, second = (processor.batch(task.disturb(examples, processor, None, rng)) for _ in range(2))  # type: ignore[arg-type]
    assert not np.array_equal(first["noisy"], second["noisy"]) and not np.array_equal(first["time"], second["time"])
    assert set(first["time"].tolist()) <= set(range(1, 1001))


def test_an_autoencoder_has_the_evidence_lower_bound() -> None:
    task, model, processor, examples, _ = set_up("autoencoder")
    batch = {name: torch.from_numpy(each) for name, each in processor.batch(examples).items()}
    labels = batch.pop("labels")
    outputs = model(**batch)
    posterior = torch.distributions.Normal(outputs["mean"], (outputs["log_variance"] / 2).exp())
    apart = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    deviation = task.generation.deviation
    likely = torch.distributions.Normal(outputs["picture"], deviation).log_prob(labels).flatten(1).sum(1)
    constant = labels[0].numel() * float(np.log(deviation * np.sqrt(2 * np.pi)))
    wanted = 2 * deviation**2 / labels[0].numel() * (apart - likely - constant).mean()
    assert task.loss(outputs, labels).item() == pytest.approx(wanted.item(), rel=1e-4)


def test_an_autoencoder_with_fixed_shapes() -> None:
    task, _, _, _, contract = set_up("autoencoder")
    with pytest.raises(InputError, match="must leave shapes free"):
        task.longest(contract)


def test_what_is_measured() -> None:
    task, _, processor, examples, contract = set_up("autoencoder")
    batch = processor.batch(examples)
    greyer = processor.error({"picture": batch["labels"] + 0.2}, batch)
    # From -1 to 1, 0.2 is a tenth of what is between black and white.
    assert task.score(greyer[:, np.newaxis], np.zeros(20), contract) == {"psnr": pytest.approx(20, abs=1e-3)}
    task, _, processor, examples, contract = set_up("noise")
    batch = processor.batch(examples)
    silent = processor.error({"prediction": np.zeros_like(batch["labels"])}, batch)
    assert task.score(silent[:, np.newaxis], np.zeros(20), contract)["denoising_snr"] == pytest.approx(0, abs=0.2)


def wrong(place: Path) -> str:
    with pytest.raises(InputError) as caught:
        check(place)
    return str(caught.value)


def test_what_cannot_be_is_said_before_anything_is_done(tmp_path: Path) -> None:
    place = recipe(tmp_path, "noise", generation={"steps": 0})
    assert "steps" in wrong(place) and "greater than or equal to 1" in wrong(place)
    place = recipe(tmp_path, "noise", generation={"steps": 1001})
    assert "steps must be at most trained, 1000, got 1001" in wrong(place)
    told = wrong(recipe(tmp_path, "noise", tmp_path / "none.onnx"))
    assert "data.generation.features: no such file" in told
    place = recipe(tmp_path, "noise", model={"factory": "nets:painter", "path": str(HERE)})
    assert "model.inputs: must be [noisy, time] or [noisy, time, label] for diffusion, got [x]" in wrong(place)
    place = recipe(tmp_path, "noise", budget={"max_drop": {"frechet": 1}})
    assert "'max_drop' must name a metric of image-generation. Got 'frechet'" in wrong(place)


def test_pictures_that_do_not_open_or_are_of_several_sizes(tmp_path: Path) -> None:
    from PIL import Image

    place = recipe(tmp_path, "noise")
    files = sorted((tmp_path / "files").rglob("*.png"))
    Image.new("RGB", (9, 12)).save(files[0])
    assert "pictures must be of one size" in wrong(place)
    for file in files[:20]:
        file.write_bytes(b"no picture")
    assert "pictures" in wrong(place) and "cannot be read" in wrong(place)


def test_one_picture(tmp_path: Path) -> None:
    place = recipe(tmp_path, "noise")
    tiny.write_rows(tmp_path / "dev.jsonl", tiny.filed(tiny.pictured(1, 7), tmp_path / "more"))  # type: ignore[arg-type]
    assert "data.validation: must hold at least two pictures, got 1" in wrong(place)


def test_a_module_that_is_no_generator(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for way, made, said in (
        ("noise", "nets:make", "must give a finite|must|forward"),
        ("autoencoder", "nets:flat", "with the methods encode and decode, it lacks encode, decode"),
    ):
        model = {"factory": made, "inputs": list(WAYS[way][0]["inputs"]), "path": str(HERE)}
        checked = check(recipe(tmp_path, way, model=model), store=store)
        job = Job(checked.recipe, checked.base, checked.profiles[0], store, Progress(quiet=True))
        with pytest.raises(InputError, match=said):
            preflight(job)


def test_a_training_that_ends_in_nothing(tmp_path: Path) -> None:
    task, model, processor, examples, contract = set_up("noise")
    with torch.no_grad():
        model.model.head.weight.fill_(1e30)
    with pytest.raises(StageError, match="the loss of step 1 is inf"):
        fit(
            model, task=task, processor=processor, contract=contract, train=examples, validation=examples,
            settings=ResolvedTraining(epochs=1, arithmetic="fp32"), seed=0, work=tmp_path,
            progress=Progress(quiet=True), label="noise",
        )  # fmt: skip


def test_what_cannot_be_drawn(
    exported: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    painter, coded = Painter(exported("v, told the class")), exported("autoencoder")
    assert painter.draw(3).labels == ("lying", "standing", "lying")
    assert len(painter.draw(1, steps=2).step_ns) == 2
    for asked, said in (
        ({"count": 0}, "count must be at least 1"),
        ({"steps": 0}, "steps must be from 1 to 1000, on which the model was trained, got 0"),
        ({"steps": 1001}, "got 1001"),
        ({"label": "leaning"}, "label must be one of lying, standing, got 'leaning'"),
    ):
        with pytest.raises(InputError, match=said):
            painter.draw(**asked)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="steps must be left out for an autoencoder"):
        Painter(coded).draw(1, steps=2)
    with pytest.raises(InputError, match="label must be left out"):
        Painter(coded).draw(1, label="lying")
    with pytest.raises(InputError, match=r"folder with model\.onnx"):
        Painter(tmp_path)
    monkeypatch.setattr(Painter, "draw", None)
    model = (coded / "model.onnx").read_bytes()
    for place, said in (
        (tmp_path / "grid.none", "must be named as a picture"),
        (tmp_path / "none" / "grid.png", "must lie in a folder that exists"),
        (tmp_path, "must be a file, got the folder"),
        (coded / "model.onnx", "must not be a model"),
        (coded / "contract.json", "must not be a file that is read"),
    ):
        assert main(["draw", str(coded), "--output", str(place)]) == 2
        assert said in capsys.readouterr().err
    assert (coded / "model.onnx").read_bytes() == model
