"""Recipes as people write them: every problem at once, with place and advice."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgesft.errors import InputError
from edgesft.spec import document, load
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.recipe import RecipeSpec

GOOD = """\
version: 1
model: some/model
task: text-classification
data: {train: train.jsonl}
stages:
  - {stage: finetune, learning_rate: 5e-5}
  - {stage: prune, latency: 0.5}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, "utf-8")
    return path


def found(folder: Path, text: str, *settings: str) -> list[str]:
    return [str(problem) for problem in load.recipe(write(folder, text), settings)[1]]


def test_a_good_recipe(tmp_path: Path) -> None:
    recipe, problems, _ = load.recipe(write(tmp_path, GOOD))
    assert recipe is not None and not problems
    assert recipe.stages[0].learning_rate == 5e-5  # a float without a dot
    assert recipe.profiles() == ("x86-1-thread",)


def test_all_problems_at_once_with_places(tmp_path: Path) -> None:
    text = GOOD.replace("version: 1", "version: 1\nmodle: x").replace("5e-5", "-1").replace("0.5}", "0.5, latncy: 1}")
    problems = found(tmp_path, text)
    assert len(problems) == 3
    assert "recipe.yaml:2 modle: 'modle' is not a key here\n    Try: 'model'" in problems[0]
    place = "recipe.yaml:7 stages.0.learning_rate: 'learning_rate'"
    assert f"{place} must be greater than 0 or must be 'auto'. Got -1" in problems[1]
    assert "recipe.yaml:8 stages.1.latncy" in problems[2] and "Try: 'latency'" in problems[2]


def test_what_is_left_can_be_checked_further(tmp_path: Path) -> None:
    recipe, problems, _ = load.recipe(write(tmp_path, GOOD.replace("latency: 0.5", "latency: 2")))
    assert recipe is not None and len(problems) == 1
    assert [stage.stage for stage in recipe.stages] == ["finetune"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{stage: prun, latency: 0.5}", "'stage' must be a stage's kind. Got 'prun'\n    Try: 'prune'"),
        ("{latency: 0.5}", "must say its 'stage'"),
        ("0.5", "'stages.1' must be keys and values, as in 'key: value'. Got 0.5"),
        ("{stage: prune, latency: 0.5, targets: []}", "'targets' must have at least 1 item. Got []"),
        ("{stage: prune}", "must have exactly one of 'parameters', 'latency' and 'latency_ms'"),
        (
            "{stage: prune, latency: 0.5, parameters: 0.5}",
            "must have exactly one of 'parameters', 'latency' and 'latency_ms'",
        ),
        ("{stage: prune, latency: fast}", "'latency' must be a valid number"),
        ("{stage: quantize, scheme: fp16, backend: neural-compressor}", "must not set 'backend', which fp16"),
        ("{stage: distill, mixed_epochs: 2}", "must not set 'mixed_epochs' unless mixup is auto"),
        ("{stage: distill, mixup: 0.5, mixed_epochs: 2}", "must not set 'mixed_epochs' unless mixup is auto"),
        ("{stage: quantize, types: s8s8}", "must not set 'types', which auto by onnxruntime does not use"),
        (
            "{stage: quantize, scheme: int8-static, backend: neural-compressor, types: s8s8}",
            "must not set 'types', which int8-static by neural-compressor does not use",
        ),
        (
            "{stage: quantize, scheme: int8-static, types: u8u8, per_channel: false}",
            "must not set 'per_channel', which u8u8 does not use",
        ),
        (
            "{stage: quantize, scheme: int3}",
            "'scheme' must be 'auto', 'int8-dynamic', 'int8-static', 'int8-weights', 'int4' or 'fp16'",
        ),
    ],
)
def test_stage_problems(tmp_path: Path, wrong: str, message: str) -> None:
    (problem,) = found(tmp_path, GOOD.replace("{stage: prune, latency: 0.5}", wrong))
    assert message in problem and ":7" in problem


def test_a_missing_key(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, GOOD.replace("task: text-classification\n", ""))
    assert "'task' must be given" in problem


def test_settings_replace_values(tmp_path: Path) -> None:
    settings = ("stages.prune.latency=0.4", "seed=3", "budget.latency_ms.p95=5", "stages.0.epochs=1")
    recipe, problems, _ = load.recipe(write(tmp_path, GOOD), settings)
    assert recipe is not None and not problems
    assert (recipe.stages[1].latency, recipe.seed, recipe.stages[0].epochs) == (0.4, 3, 1)
    assert recipe.budget.latency_ms.limits() == {95: 5.0}


def test_a_setting_s_place_is_the_command_line(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, GOOD, "stages.prune.latency=7")
    assert "command line 'stages.prune.latency=7'" in problem


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stages.prnue.latency=1", "no stage is called 'prnue'\n    Try: 'prune'"),
        ("stages.7.latency=1", "there are only 2 entries. Got index 7"),
        ("seed", "must be key=value"),
        ("data..train=3", "each part of the key must be a name. Got 'data..train' with an empty one"),
        (".seed=3", "each part of the key must be a name"),
        ("data.=3", "each part of the key must be a name"),
        ("model.x=1", "must be a mapping"),
    ],
)
def test_settings_that_lead_nowhere(tmp_path: Path, setting: str, message: str) -> None:
    with pytest.raises(InputError, match="command line") as error:
        load.recipe(write(tmp_path, GOOD), [setting])
    assert message in str(error.value)


def test_a_setting_that_is_ambiguous(tmp_path: Path) -> None:
    text = GOOD + "  - {stage: prune, latency: 0.9}\n"
    with pytest.raises(InputError, match="'prune' names 2 stages"):
        load.recipe(write(tmp_path, text), ["stages.prune.latency=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "must be YAML"),
        ("- 1\n- 2", "must be a mapping of keys to values. Got list"),
        ("", "must be a mapping of keys to values. Got nothing"),
        ("a: 1\nb: 2\na: 3", "the key 'a' must be given once. Also on line 1"),
        ("b: 1\n? [a, b]\n: 1", "recipe.yaml:2: a key must be a word. Got a sequence"),
        ("a: &x [*x]", "an anchor that contains itself"),
        ("a: " + "[" * 2000, "nested too deep"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match="recipe.yaml") as error:
        document.read(write(tmp_path, text))
    assert message in str(error.value)


def test_a_file_below_a_file_or_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="must be a file that can be read. Got: Not a directory"):
        document.read(write(tmp_path, GOOD) / "recipe.yaml")

    def denied(*_: object) -> str:
        raise PermissionError(13, "Permission denied")  # The superuser, who may run the tests, reads everything.

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(InputError, match="Got: Permission denied"):
        document.read(tmp_path / "recipe.yaml")


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(InputError, match="must exist") as error:
        document.read(tmp_path / "recpie.yaml")
    assert "recipe.yaml' exists" in str(error.value)


def test_no_is_a_word_and_numbers_are_numbers() -> None:
    assert [document.scalar(text) for text in ("no", "5e-5", "1E3", "7", "true", "1.5", "x")] == [
        *("no", 5e-5, 1000.0, 7, True, 1.5, "x")
    ]


def test_round_trip(tmp_path: Path) -> None:
    recipe = load.recipe(write(tmp_path, GOOD))[0]
    assert recipe is not None
    text = yaml.safe_dump(recipe.model_dump(mode="json", exclude_none=True))
    again = load.recipe(write(tmp_path, text))[0]
    assert again == recipe


@pytest.mark.parametrize("name", load.shipped("profiles"))
def test_shipped_profiles(name: str) -> None:
    assert load.profile(name).name == name


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(InputError, match="'raspberry-pi-5'"):
        load.profile("rasberry-pi5")


def test_every_field_is_documented() -> None:
    for spec in (RecipeSpec, ProfileSpec):
        for name, schema in {spec.__name__: spec.model_json_schema(), **spec.model_json_schema()["$defs"]}.items():
            assert schema.get("description"), name


def test_the_schema_offers_no_null_and_says_what_values_that_are_left_out_stand_for() -> None:
    schema = RecipeSpec.model_json_schema()
    objects = [schema, *schema["$defs"].values()]
    fields = [field for each in objects for field in each.get("properties", {}).values()]
    assert fields and not any(field.get("default", 0) is None for field in fields)
    finetune, *later = (schema["$defs"][name]["properties"] for name in ("FinetuneSpec", "PruneSpec", "DistillSpec"))
    assert finetune["batch_size"]["default"] == 32 and finetune["shift"]["default"] == []
    for each in later:
        assert "default" not in each["batch_size"]
        assert each["batch_size"]["description"] == "Rows per step. If left out, the finetune stage's."
        assert each["unfreeze"]["default"] == "all"


def test_auto_stands_for_a_chain_that_settings_reach_into(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD[: GOOD.index("stages:")] + "stages: auto\n")
    recipe, problems, _ = load.recipe(path, ["stages.prune.latency=0.3"])
    assert recipe and not problems
    assert [spec.stage for spec in recipe.stages] == ["finetune", "prune", "distill", "optimize", "quantize"]
    assert recipe.stages[1].latency == 0.3 and recipe.stages[0].epochs == "auto"
    path.write_text(GOOD)
    recipe, problems, _ = load.recipe(path, ["stages=auto"])
    assert recipe and recipe.stages[1].latency == "auto"
    recipe, problems, _ = load.recipe(path, ["stages=auto", "stages.prune.latency=0.5"])
    assert recipe and not problems and recipe.stages[1].latency == 0.5
    path.write_text(GOOD[: GOOD.index("stages:")] + "stages: outo\n")
    assert "'stages' must be a list of stages, or auto. Got 'outo'" in str(load.recipe(path)[1][0])
