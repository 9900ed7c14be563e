"""Speech enhancement: pairs are read, mixed and learnt, and a stream on the device is the whole sound in torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft import api
from edgesft.errors import InputError
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.media import FramesSpec
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx
from edgesft.stages.export.checks import file_run
from edgesft.tasks.audio import waveform
from edgesft.tasks.augmentation import mixing
from edgesft.tasks.base import Example
from edgesft.tasks.metrics.quality import si_sdr
from edgesft.tasks.models import factory
from edgesft.tasks.speech_enhancement import SpeechEnhancement
from edgesft.tasks.streaming import Cutting
from tests import chain, tiny

soundfile = pytest.importorskip("soundfile")

HERE = Path(__file__).parent
FRAMES = {"rate": 4000, "window": 64, "hop": 32}
MODEL = {
    "factory": "nets:enhancer",
    "path": str(HERE),
    "arguments": {"bins": 33},
    "inputs": ["frames"],
    "states": {"hidden": [24], "cell": [24]},
}
TASK = SpeechEnhancement(FramesSpec(**FRAMES))


def table(folder: Path, split: str, count: int, seed: int, rate: int = 4000) -> Path:
    """A table of mixtures and their files; noises lie in a folder of their own."""
    lines = ["clean,noise,from_s,snr"]
    for number, row in enumerate(tiny.mixed(count, seed, 4000)):
        for kind in ("clean", "noise"):
            place = folder / kind / f"{split}{number:03}.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(place, row[kind], rate)
        lines.append(f"clean/{split}{number:03}.wav,{split}{number:03}.wav,0.1,0")
    (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / f"{split}.csv"


def recipe(folder: Path, counts: tuple[int, int, int] = (64, 16, 16), **changes: Any) -> Path:
    for seed, (name, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        table(folder, name, count, seed)
    data = {name: f"{name}.csv" for name in ("train", "validation", "test")}
    data |= {"columns": {"offset": "from_s"}, "folders": {"noise": "noise"}, "frames": FRAMES}
    plain = {"stages": (chain.STAGES[0], chain.STAGES[3]), "budget": {"max_drop": {"si_sdr": 1.0}}}
    changes = {"data": data, "model": MODEL, **plain, **changes}
    return chain.write(folder, HERE, task="speech-enhancement", **changes)


def test_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = (
        {**chain.STAGES[0], "epochs": 20, "learning_rate": 1.0e-2, "snr": [-3, 6]},
        {"stage": "quantize", "scheme": "int8-dynamic", "keep": "always"},
    )
    budget = {"real_time_factor": {"p50": 0.5}, "size_ratio": 0.95, "max_drop": {"si_sdr": 1.0}}
    api.run(recipe(tmp_path, stages=stages, budget=budget), output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    tuned, small = (row["metrics"]["test"] for row in results["stages"])
    assert tuned["si_sdr_gain"] > 3 and small["si_sdr"] > tuned["si_sdr"] - 1
    assert results["stages"][1]["size_bytes"] < results["stages"][0]["size_bytes"]
    assert {line["name"]: line["verdict"] for line in results["budget"]}["size_ratio"] == "pass"
    assert results["evaluation"]["averages"]["algorithmic_delay_ms"] == 16
    packed = api.pack(tmp_path / "run", output=tmp_path / "bundle")
    assert api.verify(packed.path).holds
    contract = json.loads((tmp_path / "bundle" / "contract.json").read_bytes())
    assert contract["states"] == {"hidden": "hidden_out", "cell": "cell_out"}
    assert contract["preparation"]["kind"] == contract["decoding"]["kind"] == "frames"
    golden = json.loads((tmp_path / "bundle" / "golden.json").read_bytes())
    assert any(set(row["inputs"]["cell"]["data"]) != {"A", "="} for row in golden["rows"]), "states are reached ones"


@pytest.fixture
def tuned() -> tuple[torch.nn.Module, Cutting, list[Example]]:
    """A net as it begins, and rows."""
    source = factory.resolve(FactorySpec.model_validate(MODEL), Path())
    contract = TASK.contract([], TASK.implied(source, {}))
    torch.manual_seed(0)
    model, processor = TASK.load_model(source, contract), TASK.load_processor(source, contract)
    return model, processor, TASK.encode(tiny.mixed(3, rate=4000), processor, contract)


def test_a_stream_of_the_export_is_the_whole_sound_of_torch(
    tuned: tuple[torch.nn.Module, Cutting, list[Example]], tmp_path: Path
) -> None:
    model, processor, examples = tuned
    contract = TASK.contract([], TASK.implied(factory.resolve(FactorySpec.model_validate(MODEL), Path()), {}))
    export_onnx(model, TASK, processor, examples, contract, tmp_path, opset=20)
    streamed = TASK.enhanced(file_run({"model": tmp_path / "model.onnx"}), examples, processor)
    batch = TASK.collate(examples, processor)
    with torch.no_grad():
        answers = model.eval()(frames=torch.from_numpy(batch["frames"]))["frames_out"]
        whole = waveform.joined(processor.frames, answers, batch["labels"].shape[1]).numpy()
    for stream, sound in zip(streamed, whole, strict=True):
        assert np.abs(stream - sound[: len(stream)]).max() < 1e-5


def test_torch_joins_and_measures_as_the_device_does(tuned: tuple[Any, Cutting, list[Example]]) -> None:
    _, processor, examples = tuned
    frames = processor.frames
    noisy, clean = examples[0]["samples"], examples[0]["labels"]
    cut = frames.cut(noisy, frames.count(len(noisy), whole=True))
    joined = waveform.joined(frames, torch.from_numpy(cut)[None], len(noisy))
    assert np.allclose(joined[0].numpy(), noisy, atol=1e-5)
    found = waveform.si_sdr(torch.from_numpy(noisy)[None], torch.from_numpy(clean)[None])
    assert found.item() == pytest.approx(si_sdr(noisy, clean), abs=1e-3)


def test_requests_have_the_states_of_their_stream(tuned: tuple[Any, Cutting, list[Example]]) -> None:
    from edgesft.train.predictor import runner

    model, processor, examples = tuned
    plain, reached = TASK.requests(examples, processor), TASK.stateful_requests(examples, processor, runner(model))
    for one, other in zip(plain, reached, strict=True):
        assert np.array_equal(one["frames"], other["frames"])
        assert not one["cell"].any() and other["cell"].any()


def test_mixtures_are_as_loud_as_rows_say() -> None:
    (row,) = tiny.mixed(1, rate=4000)
    noisy, clean = mixing.Mixer(4000).pair({**row, "snr": "10", "offset": "0.5"})
    rest = noisy - clean
    assert 10 * np.log10(np.square(clean).mean() / np.square(rest).mean()) == pytest.approx(10, abs=1e-3)
    looped = mixing.looped(np.arange(5), 3, 7)
    assert looped.tolist() == [3, 4, 0, 1, 2, 3, 4]


def test_noise_is_mixed_where_the_speech_is_heard(tmp_path: Path) -> None:
    (row,) = tiny.mixed(1, rate=4000)
    soundfile.write(tmp_path / "clean.wav", row["clean"], 4000)
    soundfile.write(tmp_path / "noise.wav", np.repeat(row["noise"], 2), 8000)
    files = {kind: str(tmp_path / f"{kind}.wav") for kind in ("clean", "noise")}
    noisy, _ = mixing.Mixer(8000).pair({**files, "snr": 0})
    power = np.abs(np.fft.rfft(noisy)) ** 2
    assert power[len(power) * 11 // 20 :].sum() < 1e-3 * power.sum()


def test_a_noise_is_resampled_once_and_not_all_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = tiny.mixed(1, rate=4000)
    noise = np.repeat(row["noise"], 2)
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", noise, 8000)
    asked = list[int]()
    resampled = mixing.audio.resampled

    def counted(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
        asked.append(rate)
        return resampled(samples, rate, wanted)

    monkeypatch.setattr(mixing.audio, "resampled", counted)
    monkeypatch.setattr(mixing, "KEPT", len(noise))
    mixer = mixing.Mixer(4000)
    heard = {name: mixer.pair({**row, "noise": str(tmp_path / f"{name}.wav"), "snr": 0}) for name in "aabba"}
    assert asked.count(8000) == 2 and np.array_equal(heard["a"][0], heard["b"][0])
    mixer.pair({**row, "noise": str(tmp_path / "c.wav"), "snr": 0})
    mixer.pair({**row, "noise": str(tmp_path / "a.wav"), "snr": 0})
    assert asked.count(8000) == 3, "b, which was read before a, has gone"


def test_training_hears_pieces_in_other_noise(tuned: tuple[Any, Cutting, list[Example]]) -> None:
    _, processor, examples = tuned
    task = SpeechEnhancement(FramesSpec(**FRAMES, seconds=0.1))
    rng = np.random.default_rng(0)
    found = task.disturb(examples, processor, ResolvedTraining(snr=(0, 0)), rng)
    assert {len(each["samples"]) for each in found} == {400}
    for each in found:
        rest = each["samples"] - each["labels"]
        assert np.square(each["labels"]).mean() == pytest.approx(np.square(rest).mean(), rel=1e-3)
    assert not np.array_equal(
        found[0]["samples"], task.disturb(examples, processor, ResolvedTraining(), rng)[0]["samples"]
    )


def test_pairs_are_read_as_they_are(tmp_path: Path) -> None:
    (row,) = tiny.mixed(1, rate=4000)
    stereo = np.stack([row["clean"], row["clean"]], 1)
    soundfile.write(tmp_path / "noisy.wav", stereo, 4000, subtype="FLOAT")
    noisy, clean = mixing.Mixer(8000).pair({"clean": str(tmp_path / "noisy.wav"), "noisy": str(tmp_path / "noisy.wav")})
    assert len(noisy) == 2 * len(row["clean"]) and np.array_equal(noisy, clean)
    soundfile.write(tmp_path / "short.wav", stereo[:100], 4000)
    with pytest.raises(InputError, match="as long as its clean sound"):
        mixing.Mixer(4000).pair({"clean": str(tmp_path / "short.wav"), "noisy": str(tmp_path / "noisy.wav")})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"clean": "a"}, "must have noisy or noise beside clean"),
        ({"clean": "a", "noise": "b"}, "must have an snr"),
        ({"clean": "a", "noise": "b", "snr": "loud"}, "snr must be a number, got 'loud'"),
        ({"clean": "a", "noise": "b", "snr": 0, "offset": -1}, "offset must be a number of seconds"),
        ({"clean": "a", "noisy": "b"}, None),
    ],
)
def test_rows_that_are_no_pairs(row: dict[str, Any], message: str | None) -> None:
    found = TASK.check({"train": [row]})
    assert [message in each.message for each in found] == ([] if message is None else [True])


def test_what_is_converted_and_left_out_is_said(tmp_path: Path) -> None:
    place = recipe(tmp_path, (8, 4, 4))
    soundfile.write(tmp_path / "clean" / "train000.wav", np.zeros(500), 4000)
    soundfile.write(tmp_path / "noise" / "train001.wav", np.full(500, np.nan), 4000, subtype="FLOAT")
    soundfile.write(tmp_path / "clean" / "train002.wav", np.stack([tiny.mixed(1)[0]["clean"]] * 2, 1), 16000)
    with pytest.raises(InputError, match="2 of 8 sounds .* cannot be read: .*it is silent.*no numbers"):
        check(place)
    with pytest.raises(InputError, match=r"clean/train001.wav' \(noise '.*noise/train001.wav': .*no numbers"):
        check(place)
    warnings = " ".join(check(place, ["data.unreadable=0.5"]).warnings)
    assert "have 16000 samples per second and are converted to 4000" in warnings
    assert "have 2 channels, which are averaged" in warnings and "they are left out" in warnings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.frames.hop=24"], "tapers must add up"),
        (["model.states={}"], "model.states: must give the shape of each state"),
        (["data.folders={speech: .}"], "data.folders: keys must be roles of files"),
        (["data.frames.hop=100"], "hop must be at most window"),
        (["stages=[{stage: finetune}, {stage: prune, parameters: 0.5}]"], "'prune' must be left out"),
    ],
)
def test_bad_recipes(settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        check(recipe(tmp_path, (8, 4, 4)), settings)


def test_auto_does_all_but_pruning(tmp_path: Path) -> None:
    stages = check(recipe(tmp_path, (8, 4, 4)), ["stages=auto"]).recipe.stages
    assert [spec.stage for spec in stages] == ["finetune", "distill", "optimize", "quantize"]


def test_states_are_the_module_s(tuned: tuple[Any, Cutting, list[Example]]) -> None:
    source = replace(factory.resolve(FactorySpec.model_validate(MODEL), Path()), states={"hidden": (24,)})
    with pytest.raises(InputError, match="attribute `states` of the module"):
        TASK.load_model(source, TASK.contract([], TASK.implied(source, {})))


def test_a_student_learns_the_sound_of_its_teacher(tuned: tuple[Any, Cutting, list[Example]]) -> None:
    _, processor, examples = tuned
    theirs = torch.from_numpy(TASK.collate(examples, processor)["frames"])
    noise = torch.randn_like(theirs)
    near, far = (TASK.divergence(theirs + share * noise, theirs).item() for share in (0.01, 0.3))
    assert near < far - 20 < -5
    assert TASK.divergence(3 * theirs, theirs).item() < near
