"""`edgesft init --data`: what it makes of each kind of data is valid, is planned, and passes the preflight."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgesft.cli.drafting import asked
from edgesft.cli.main import main
from edgesft.errors import InputError, UnavailableError
from edgesft.pipeline.check import check
from edgesft.pipeline.draft import Wishes, draft
from edgesft.pipeline.draft.kinds import recognise
from edgesft.pipeline.draft.model import longest
from edgesft.pipeline.draft.rows import _together, look
from edgesft.pipeline.job import Job
from edgesft.pipeline.preflight import preflight
from edgesft.progress import Progress
from edgesft.spec import load
from edgesft.store.store import Store
from tests import tiny
from tests.tasks.models import test_onnx_file

NETS = Path(__file__).parents[1] / "tasks" / "nets.py"


def sentences(folder: Path) -> list[str]:
    """A table with columns of other names, and the file of test rows beside it."""
    for name, seed in (("reviews-train.csv", 0), ("reviews-test.csv", 1)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "Review", "mood"])
            writer.writerows([number, row["text"], row["label"]] for number, row in enumerate(tiny.rows(120, seed)))
    return ["--data", str(folder / "reviews-train.csv")]


def boxes(folder: Path) -> list[str]:
    return ["--data", str(tiny.save_boxed(folder, "train", tiny.boxed(60)))]


def tags(folder: Path) -> list[str]:
    rows = [{"words": row["tokens"], "ner_tags": row["tags"]} for row in tiny.tagged(120)]
    return ["--data", str(tiny.write_rows(folder / "train.jsonl", rows))]


def answers(folder: Path) -> list[str]:
    return ["--data", str(tiny.write_rows(folder / "train.jsonl", tiny.answered(60)))]


def heads(folder: Path) -> list[str]:
    rows = tiny.headed(120)
    files = [tiny.write_rows(folder / f"{head}.jsonl", [row for row in rows if row["head"] == head])
             for head in ("mood", "length")]  # fmt: skip
    return [word for file in files for word in ("--data", f"{file.stem}={file}")]


def pictures(folder: Path) -> list[str]:
    for split, seed in (("train", 0), ("test", 1)):
        tiny.save_pictures(folder / "signs" / split, tiny.pictured(40, seed))
    return ["--data", str(folder / "signs")]


def headed_pictures(folder: Path) -> list[str]:
    places = [tiny.save_pictures(folder / name, tiny.pictured(60, seed)) for seed, name in enumerate(("bars", "lines"))]
    return [word for place in places for word in ("--data", f"{place.name}={place}")]


def table_of_pictures(folder: Path) -> list[str]:
    rows = tiny.filed(tiny.pictured(60), folder / "files")
    table = [{"path": row["image"], "label": row["label"], "split": "test" if number < 20 else "train"}
             for number, row in enumerate(rows)]  # fmt: skip
    return ["--data", str(tiny.write_rows(folder / "table.jsonl", table))]


def sounds(folder: Path) -> list[str]:
    return ["--data", str(tiny.save_sounds(folder / "words", tiny.sounded(40)))]


def table(place: Path, rows: list[dict[str, object]]) -> list[str]:
    with place.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return ["--data", str(place)]


def noisy(folder: Path) -> list[str]:
    files = [row["audio"] for row in tiny.filed(tiny.sounded(40), folder / "files")]
    rows = [{"clean": file, "noise": files[number % 4], "snr": 5, "split": "test" if number < 20 else "train"}
            for number, file in enumerate(files)]  # fmt: skip
    return table(folder / "pairs.csv", rows)


def spoken_in(folder: Path) -> list[str]:
    files = [row["audio"] for row in tiny.filed(tiny.sounded(40), folder / "files")]
    return table(folder / "heard.csv", [{"audio": file, "speech": "[[0, 0.1]]"} for file in files])


def prompts(folder: Path) -> list[str]:
    rows = [{"instruction": row["prompt"], "output": row["answer"]} for row in tiny.asked(60)]
    return ["--data", str(tiny.write_rows(folder / "train.jsonl", rows))]


def chats(folder: Path) -> list[str]:
    rows = [{"messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["answer"]}]}
            for row in tiny.asked(60)]  # fmt: skip
    return ["--data", str(tiny.write_rows(folder / "train.jsonl", rows))]


def translations(folder: Path) -> list[str]:
    rows = [{"source": row["input"], "target": row["target"]} for row in tiny.translated(60)]
    return ["--data", str(tiny.write_rows(folder / "train.jsonl", rows))]


def ratings(folder: Path) -> list[str]:
    with (folder / "ratings.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["userId", "movieId", "timestamp"])
        writer.writerows([row["user"], row["item"], row["time"]] for row in tiny.visited(40))
    return ["--data", str(folder / "ratings.csv")]


def arrays(folder: Path) -> list[str]:
    rng = np.random.default_rng(0)
    label = np.arange(80) % 2
    pixels = rng.random((80, 1, 12, 12), np.float32) + label[:, None, None, None]
    np.savez(folder / "train.npz", x=pixels.astype(np.float32), label=label)
    return ["--data", str(folder / "train.npz")]


@dataclass(frozen=True)
class Case:
    """One kind of data: what it is made into."""

    make: Callable[[Path], list[str]]
    task: str
    model: str = "bert"
    train: object = "train.jsonl"
    test: object = None
    said: object = None


CASES = {
    "a csv table": Case(sentences, "text-classification", train="reviews-train.csv", test="reviews-test.csv",
                        said={"columns": {"text": "Review", "label": "mood"}}),
    "lists of tags": Case(tags, "token-classification", said={"columns": {"tokens": "words", "tags": "ner_tags"}}),
    "boxes": Case(boxes, "object-detection", "nets:detector", "train.json", said={"image": {"resize": [32, 32]}}),
    "questions": Case(answers, "question-answering", said={"max_length": 64}),
    "several heads": Case(heads, "multi-task", train={"mood": "mood.jsonl", "length": "length.jsonl"}),
    "heads of pictures": Case(headed_pictures, "image-multi-task", "resnet", {"bars": "bars", "lines": "lines"}),
    "a folder of pictures": Case(pictures, "image-classification", "resnet", "signs", "signs"),
    "a table of pictures": Case(table_of_pictures, "image-classification", "resnet", "table.jsonl#train",
                                "table.jsonl#test", {"columns": {"image": "path"}}),
    "a folder of sounds": Case(sounds, "audio-classification", "nets:image", "words",
                               said={"audio": {"rate": tiny.RATE, "seconds": 0.3}}),
    "sounds for a spectrogram transformer": Case(sounds, "audio-classification", "ast", "words"),
    "arrays": Case(arrays, "arrays", "nets:image", "train.npz"),
    "prompts": Case(prompts, "text-generation", "llama",
                    said={"columns": {"prompt": "instruction", "answer": "output"}}),
    "conversations": Case(chats, "text-generation", "llama", said={"columns": {"messages": "messages"}}),
    "translations": Case(translations, "text-to-text", "t5", said={"columns": {"input": "source"}}),
    "translations for a decoder": Case(translations, "text-generation", "llama",
                                       said={"columns": {"prompt": "source", "answer": "target"}}),
    "ratings": Case(ratings, "recommendation", "edgesft.tasks.sasrec:sasrec", "ratings.csv", "last",
                    {"validation": "last", "columns": {"user": "userId", "item": "movieId", "time": "timestamp"}}),
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that one is in, with a model of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    shutil.copy(NETS, tmp_path)
    return tmp_path


def written(name: str, home: Path, request: pytest.FixtureRequest) -> Path:
    """The recipe that the command makes of a case."""
    case, recipe = CASES[name], home / "my.yaml"
    model = case.model if ":" in case.model else str(request.getfixturevalue(case.model))
    assert main(["init", str(recipe), *case.make(home), "--model", model]) == 0
    return recipe


@pytest.mark.parametrize("name", CASES)
def test_what_it_writes_is_planned(
    name: str, home: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    case, recipe = CASES[name], written(name, home, request)
    said = yaml.safe_load(recipe.read_text("utf-8"))
    assert said["task"] == case.task and said["data"]["train"] == case.train
    assert said["data"].get("test") == case.test
    for key, value in (case.said or {}).items():
        assert said["data"][key] == value
    capsys.readouterr()
    assert main(["plan", str(recipe)]) == 0
    assert "to do" in capsys.readouterr().out


QUICK = ("a csv table", "arrays")
"""Of these the preflight is passed in the usual tests; of the others, whose exports take longer, in the slow ones."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_what_it_writes_runs(name: str, home: Path, request: pytest.FixtureRequest) -> None:
    checked = check(written(name, home, request))
    preflight(Job(checked.recipe, checked.base, checked.profiles[0], Store(home / "store"), Progress(quiet=True)))


def test_what_a_person_says_is_written(tmp_path: Path, bert: Path) -> None:
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60))
    target = tmp_path / "deep" / "my.yaml"
    target.parent.mkdir()
    words = ["init", str(target), "--data", str(rows), "--model", str(bert), "--profile", "pixel", "--test", "0.2"]
    assert main([*words, "--latency-ms", "8", "--size-mb", "3", "--max-drop", "0.02"]) == 0
    written = yaml.safe_load(target.read_text("utf-8"))
    assert written["budget"] == {"max_drop": {"accuracy": 0.02}, "latency_ms": {"p95": 8.0}, "size_mb": 3.0}
    assert written["profile"] == "pixel" and written["data"]["test"] == 0.2
    assert written["data"]["max_length"] == 16, "no sentence is longer"
    schema = json.loads((target.parent / "recipe.schema.json").read_text("utf-8"))
    assert "max_length" in schema["$defs"]["DataSpec"]["properties"]
    assert "# yaml-language-server: $schema=recipe.schema.json" in target.read_text("utf-8")
    assert main(words) == 2, "what is there stays"


@pytest.mark.parametrize(
    ("make", "task", "train"),
    [(noisy, "speech-enhancement", "pairs.csv#train"), (spoken_in, "voice-activity", "heard.csv")],
)
def test_streams_are_known_and_say_their_rate(
    make: Callable[[Path], list[str]], task: str, train: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "my.yaml", *make(home), "--model", "nets:enhancer"]) == 0
    said = yaml.safe_load((home / "my.yaml").read_text("utf-8"))
    assert said["task"] == task and said["data"]["train"].endswith(train)
    assert said["data"]["frames"] == {"rate": tiny.RATE} and "audio" not in said["data"]
    net = {"factory": "nets:enhancer", "inputs": ["frames"], "states": {"hidden": [24], "cell": [24]}}
    assert said["model"] == net, "as the module has them"
    assert "data: 20 rows" in capsys.readouterr().out.splitlines() or task != "speech-enhancement"


def test_states_that_the_module_does_not_tell(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", "my.yaml", *noisy(home), "--model", "nets:detector"]
    assert main(words) == 2 and "states: {hidden: [2, 128]}" in capsys.readouterr().err
    assert main([*words, "--unchecked"]) == 0
    told = capsys.readouterr().out
    assert "must have an attribute `states`, got None; write what" in told and "{hidden: [2, 128]}" in told


def test_rows_of_a_split_table_are_counted_and_nothing_is_said_where_they_are_not(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"{n} fine", "label": "ab"[n % 2], "split": "test" if n % 3 else "train"} for n in range(90)]
    found = look([str(tiny.write_rows(home / "table.jsonl", rows))], Path(), None, {})
    assert found.count == len(found.rows) == 30 and sum(found.labels.values()) == 30
    split = {"a": found, "b": replace(found, count=None)}
    assert _together(split).count is None and _together({"a": found}).count == 30
    uncounted = replace(found, count=None, rows=[{"text": "fine"}])
    made = draft(Wishes(["table.jsonl"], model="nets:image"), home / "my.yaml", uncounted)
    assert not any(line.startswith("data:") for line in made.told)


def test_files_of_other_splits_lie_in_folders_beside_that_of_the_training_rows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, split in enumerate(("train", "valid", "test")):
        place = tiny.save_boxed(home / "cells" / split, split, tiny.boxed(20, seed))
        place.rename(place.with_name("_annotations.coco.json"))
    wanted = {split: f"cells/{folder}/_annotations.coco.json"
              for split, folder in (("train", "train"), ("validation", "valid"), ("test", "test"))}  # fmt: skip
    assert main(["init", "my.yaml", "--data", wanted["train"], "--model", "nets:detector"]) == 0
    said = yaml.safe_load((home / "my.yaml").read_text("utf-8"))["data"]
    assert {split: said[split] for split in wanted} == wanted
    monkeypatch.setenv("CELLS", str(home / "cells"))
    found = look(["${CELLS}/train/_annotations.coco.json"], Path(), None, {})
    assert found.splits["validation"] == "${CELLS}/valid/_annotations.coco.json"
    monkeypatch.chdir(home / "cells" / "train")
    assert look(["_annotations.coco.json"], Path(), None, {}).splits["test"] == "../test/_annotations.coco.json"


def test_boxes_of_pictures_that_are_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tiny.save_boxed(home, "train", tiny.boxed(20))
    (home / "elsewhere").mkdir()
    place = place.rename(home / "elsewhere" / place.name)
    assert main(["init", "my.yaml", "--data", str(place), "--model", "nets:detector"]) == 2
    said = capsys.readouterr().err
    assert "20 of 20 pictures (100.00%) cannot be read" in said and "data.folders={image: FOLDER}" in said


def test_a_folder_with_a_file_of_boxes_is_none_of_classes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("test", "train"):
        tiny.save_boxed(home / "cells" / split, split, tiny.boxed(20))
    (home / "cells" / "info.json").write_text('{"licence": "none"}')
    assert main(["init", "my.yaml", "--data", "cells", "--model", "nets:detector"]) == 2
    said = capsys.readouterr().err
    assert "got the folder 'cells', which has test/test.json, train/train.json" in said
    assert "--data cells/train/train.json" in said
    words = ["init", "my.yaml", "--data", "cells", "--model", "nets:detector", "--task", "image-classification"]
    assert main([*words, "--unchecked"]) == 0


@pytest.mark.parametrize("grey", [True, False])
def test_grey_pictures_are_told_where_the_model_may_read_one_channel(grey: bool, home: Path) -> None:
    rows = [{**row, "image": row["image"][..., 0] if grey else row["image"]} for row in tiny.pictured(20)]  # type: ignore[index]
    place = tiny.save_pictures(home / "signs", rows)
    text = draft(Wishes([str(place)], model="nets:image"), home / "my.yaml").text
    assert ("all are grey: `colour: L`" in text) == grey


def test_the_schema_is_that_of_this_version(tmp_path: Path, bert: Path) -> None:
    place, schema = tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60)), tmp_path / "recipe.schema.json"
    words = ["--data", str(place), "--model", str(bert)]
    for name, old, kept in (("a", '{"title": "RecipeSpec"}', False), ("b", '{"title": "of others"}', True)):
        schema.write_text(old)
        assert main(["init", str(tmp_path / f"{name}.yaml"), *words]) == 0
        assert (schema.read_text("utf-8") == old) == kept


def test_paths_start_from_the_recipe(tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60))
    (tmp_path / "deep").mkdir()
    made = draft(Wishes(["rows.jsonl"], model=str(bert)), Path("deep/my.yaml"))
    assert yaml.safe_load(made.text)["data"]["train"] == "../rows.jsonl"
    made = draft(Wishes(["./rows.jsonl"], model=str(bert)), Path("my.yaml"))
    assert yaml.safe_load(made.text)["data"]["train"] == "rows.jsonl"
    monkeypatch.setenv("ROWS", str(tmp_path))
    made = draft(Wishes(["${ROWS}/rows.jsonl"], model=str(bert)), Path("deep/my.yaml"))
    assert yaml.safe_load(made.text)["data"]["train"] == "${ROWS}/rows.jsonl"


@pytest.mark.parametrize(
    ("lengths", "most", "chosen"),
    [
        (list(range(1, 101)), None, 104),  # the longest has one token more than 99 of 100
        ([10] * 199 + [100], None, 16),  # one row of 200 that is ten times as long is cut
        (list(range(1, 101)), 64, 64),  # more the model cannot read
        ([3], None, 16),
    ],
)
def test_the_longest_input(lengths: list[int], most: int | None, chosen: int) -> None:
    assert longest(lengths, most) == chosen


def test_a_split_of_a_table_and_what_a_person_names_it_for(tmp_path: Path) -> None:
    sounds = [{"path": f"{n}.wav", "label": "no" if n % 2 else "yes", "split": "train" if n % 3 else "test"}
              for n in range(30)]  # fmt: skip
    place = str(tiny.write_rows(tmp_path / "table.jsonl", sounds))
    train = look([f"{place}#train"], Path(), None, {})
    assert train.task == "audio-classification" and train.splits == {"train": f"{place}#train"}
    assert len(train.rows) == 20 and train.rows[0]["audio"] == str(tmp_path / "1.wav")
    spoken = look([place], Path(), "text-to-speech", {})
    assert spoken.columns == {"audio": "path", "text": "label"} and set(spoken.splits) == {"train", "test"}
    drawn = [{**row, "path": f"{n}.png"} for n, row in enumerate(sounds)]
    pictures = look([str(tiny.write_rows(tmp_path / "drawn.jsonl", drawn))], Path(), "image-generation", {})
    assert pictures.task == "image-generation" and pictures.columns == {"image": "path", "label": "label"}


def test_labels_of_a_sorted_file_are_all_seen(tmp_path: Path, bert: Path) -> None:
    rows = sorted(tiny.rows(300), key=lambda row: row["label"])
    place = tiny.write_rows(tmp_path / "rows.jsonl", rows)
    counts = {label: sum(row["label"] == label for row in rows) for label in ("negative", "positive")}
    told = draft(Wishes([str(place)], model=str(bert)), tmp_path / "my.yaml").told
    assert f"negative {counts['negative']}, positive {counts['positive']}" in told[0]


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        ([{"userId": 1, "rating": 2.5}], {}, "must have the columns of a task. Got 'userId', 'rating'"),
        ([{"before": "a" * 99, "after": f"{n} {'b' * 99}"} for n in range(9)], {}, "must have the columns of a task"),
        ([{"text": "nice", "label": "good"}], {}, "Got 'text', 'label'; no value repeats, as labels do"),
        (tiny.rows(9), {"text": "txt"}, "--column must name a column of the data. Got 'txt'"),
    ],
)
def test_data_that_fit_no_task(rows: list[dict[str, object]], given: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        recognise(rows, given)
    assert message in str(raised.value)


def test_a_task_that_is_named_takes_columns_that_are_called_so() -> None:
    rows = [{"id": 1, "clean": "a.wav", "noise": "b.wav"}]
    assert recognise(rows, {}, "speech-enhancement") == ("speech-enhancement", {"clean": "clean"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["my.yaml", "--model", "x"], "--data must be given with --model"),
        (["my.yaml"], "--data must be given where there is no terminal to ask on"),
        (["text-classification", "--data", "x"], "must be given a file to write. Got the built-in"),
        (["my.yaml", "--data", "none.jsonl"], "no such file"),
        (["my.yaml", "--data", "none.jsonl", "--task", "txt"], "task: must be one of"),
        (["my.yaml", "--data", "none.jsonl", "--column", "text"], "--column must be a role and a column"),
    ],
)
def test_what_cannot_be(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", *words]) == 2
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


WRONG = {
    ("--test", "nowhere.jsonl"): "no such file",
    ("--max-drop", "2"): "budget.max_drop.accuracy: 'max_drop.accuracy' must be from 0 to 1, got 2",
    ("--validation", "0.001"): "data.validation",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_recipe_that_would_be_wrong_is_written_only_where_that_is_asked_for(
    words: tuple[str, str], tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, place = tmp_path / "my.yaml", tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(40))
    init = ["init", str(recipe), "--data", str(place), "--model", str(bert), *words]
    assert main(init) == 2
    told = capsys.readouterr()
    assert WRONG[words] in told.err and "nothing was written" in told.err and not told.out
    assert list(tmp_path.iterdir()) == [place]
    assert main([*init, "--unchecked"]) == 0 and recipe.is_file()
    assert main(["validate", str(recipe)]) == 2


def test_a_recipe_that_this_machine_cannot_check_is_written(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise UnavailableError("the hub cannot be reached")

    monkeypatch.setattr("edgesft.pipeline.check.check", unavailable)
    recipe, place = tmp_path / "my.yaml", tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(40))
    assert main(["init", str(recipe), "--data", str(place), "--model", str(bert)]) == 0
    assert "warning: the recipe could not be checked: the hub cannot be reached" in capsys.readouterr().out
    assert recipe.is_file()


def test_it_asks_what_no_option_says(tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60))
    said = iter(["nowhere.jsonl", str(place), str(bert), "pixl", "pixel", "7.5", "2"])
    questions = []

    def ask(question: str) -> str:
        questions.append(question)
        return next(said)

    wishes, found = asked(Wishes([]), ask)
    assert found.task == "text-classification" and wishes.profile == "pixel"
    assert wishes.budget == {"latency_ms": {"p95": 7.5}, "max_drop": 0.02}
    assert [question.split(" ")[0] for question in questions] == [
        "Labelled", "Labelled", "Pretrained", "Device", "Device", "p95", "Allowed",
    ]  # fmt: skip
    assert "no such file" in capsys.readouterr().err
    made = draft(wishes, tmp_path / "my.yaml", found)
    assert yaml.safe_load(made.text)["budget"]["max_drop"] == {"accuracy": 0.02}


def test_it_asks_again_what_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60))
    said = iter([str(place), "", "", "-5", "nan", "5ms", "5", "500", "-1", "nan", "1"])
    wishes, _ = asked(Wishes([]), lambda question: next(said))
    assert wishes.budget == {"latency_ms": {"p95": 5.0}, "max_drop": 0.01}
    told = capsys.readouterr().err
    assert "must be more than 0 ms. Got -5" in told and "one that accuracy can have. Got 500 points" in told


def test_a_profile_of_one_s_own_stays_a_file(tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60))
    shutil.copy(load.shipped("profiles")["pixel"], "mine.yaml")
    said = iter(["rows.jsonl", str(bert), "mine.yaml", "", ""])
    wishes, found = asked(Wishes([]), lambda question: next(said))
    (tmp_path / "deep").mkdir()
    made = draft(wishes, Path("deep/my.yaml"), found)
    assert yaml.safe_load(made.text)["profile"] == "../mine.yaml"
    # Nor is a folder one that is called as a profile is.
    (tmp_path / "ci").mkdir()
    made = draft(Wishes(["rows.jsonl"], model=str(bert), profile="ci"), Path("deep/my.yaml"))
    assert yaml.safe_load(made.text)["profile"] == "ci"


def test_answers_that_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def ended(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("edgesft.cli.drafting._terminal", lambda: True)
    monkeypatch.setattr("edgesft.cli.drafting.asked", lambda wishes: asked(wishes, ended))
    assert main(["init", "--folder", str(tmp_path)]) == 2
    assert "every question must be answered" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_empty_answers_take_what_is_usual(tmp_path: Path) -> None:
    place = tiny.write_rows(tmp_path / "rows.jsonl", tiny.rows(60))
    said = iter([str(place), "", "", "", ""])
    wishes, _ = asked(Wishes([]), lambda question: next(said))
    assert wishes.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert wishes.budget == {"latency_ratio": {"p50": 0.5}, "max_drop": 0.01}


def test_a_file_of_others_is_compressed_and_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    file = test_onnx_file.pictures(tmp_path / "net")
    pictures(tmp_path)
    target = tmp_path / "recipe.yaml"
    made = draft(Wishes((str(tmp_path / "signs"),), model=str(file)), target)
    recipe = yaml.safe_load(made.text)
    assert recipe["model"] == {"onnx": "net/net.onnx", "labels": ["lying", "standing"]}
    assert "EDIT: put the labels in the order of the file's scores" in made.text
    assert [stage["stage"] for stage in recipe["stages"]] == ["optimize", "quantize"]
    target.write_text(made.text, "utf-8")
    with pytest.raises(InputError, match="model: must give logits, got probs, features"):
        check(target)
    check(target, ["model.names={logits: probs}"])
