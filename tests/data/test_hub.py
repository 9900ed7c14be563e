"""Data sets that `datasets` reads: addresses, folders, what is on the hub, and what it says where nothing is."""

from __future__ import annotations

import builtins
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgesft.data import digest, hub, load, sources
from edgesft.data.rows import Rows
from edgesft.data.schema import RowSchema
from edgesft.errors import InputError, UnavailableError
from edgesft.spec.hub import HubAddress
from edgesft.spec.recipe import DataSpec
from edgesft.store.store import Store
from tests import tiny

datasets = pytest.importorskip("datasets")

ROWS = RowSchema(("text", "label"))
COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, and caches of the test's own."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    hub._from_hub.cache_clear()
    yield
    hub._from_hub.cache_clear()


def moods(count: int = 40, seed: int = 0) -> Any:
    """Rows whose labels are numbers with names, as sets on the hub have them."""
    names = ["negative", "positive"]
    rows = [{**row, "label": names.index(row["label"]), "id": n} for n, row in enumerate(tiny.rows(count, seed))]
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=names), id=datasets.Value("int64")
    )
    return datasets.Dataset.from_list(rows, features=features)


def spec(**values: Any) -> DataSpec:
    return DataSpec.model_validate({"train": "set", **values})


def complaint(base: Path, kind: type[Exception] = InputError, **values: Any) -> str:
    with pytest.raises(kind) as caught:
        load(spec(**values), ROWS, base, 0)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hub://owner/name", ("owner/name", None, None)),
        ("hub://owner/name/en-US", ("owner/name", "en-US", None)),
        ("hub://o/n_1.2/20231101.en#test", ("o/n_1.2", "20231101.en", "test")),
        ("hub://owner/name#dev", ("owner/name", None, "dev")),
    ],
)
def test_addresses(text: str, parts: tuple[str | None, ...]) -> None:
    assert HubAddress.parse(text) == HubAddress(*parts) and str(HubAddress.parse(text)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["hub://name", "hub:///a/b", "hub://a/b/c/d", "hub://a/b#train[:10%]", "hub://a/b c"])
def test_addresses_that_are_none(text: str) -> None:
    for data in ({"train": text}, {"train": "a.csv", "test": {"mood": text}}):
        with pytest.raises(ValidationError, match="must be hub://owner/name, or hub://owner/name/configuration#split"):
            DataSpec.model_validate(data)


def test_folders_that_save_to_disk_wrote(tmp_path: Path) -> None:
    datasets.DatasetDict(train=moods(), validation=moods(10, 1), extra=moods(6, 2)).save_to_disk(tmp_path / "set")
    moods(5, 3).save_to_disk(tmp_path / "one")
    found = load(spec(validation="set", test="set#extra"), ROWS, tmp_path, 0)
    assert found.train == tiny.rows(40) and found.validation == tiny.rows(10, 1) and found.test == tiny.rows(6, 2)
    assert load(spec(train="one", validation=0.4), ROWS, tmp_path, 0).train[0] in tiny.rows(5, 3)


def test_folders_of_data_files(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    tiny.write_rows(tmp_path / "set" / "train.jsonl", tiny.rows(20))
    tiny.write_rows(tmp_path / "set" / "test.jsonl", tiny.rows(5, 1))
    found = load(spec(test="set"), ROWS, tmp_path, 0)
    assert [*found.train, *found.validation] != [] and found.test == tiny.rows(5, 1)
    assert "must have the split 'validation', got 'train', 'test'" in complaint(tmp_path, validation="set")
    assert "set#train" in complaint(tmp_path, validation="set")


def test_a_file_wins_over_a_folder_and_its_split(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    tiny.write_rows(tmp_path / "a#b.jsonl", tiny.rows(3))
    assert isinstance(sources.find("a#b.jsonl", tmp_path, "train"), sources.FileSource)
    assert sources.find("a#dev", tmp_path, "train") == sources.DatasetSource(tmp_path / "a", "dev")


def test_folders_without_data(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert "data.train: must be a file, got the folder" in complaint(tmp_path)
    (tmp_path / "set" / "notes.xyz").write_text("nothing")
    assert "must hold data files that can be read" in complaint(tmp_path)
    (tmp_path / "set" / "notes.xyz").rename(tmp_path / "set" / "train.jsonl")
    assert "must hold data files that can be read, got: JSON parse error" in complaint(tmp_path)


def test_a_column_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    moods().save_to_disk(tmp_path / "set")
    assert "must have the column 'txt' for text, got 'text', 'label', 'id'" in complaint(
        tmp_path, columns={"text": "txt"}
    )


def test_names_of_classes_wherever_they_are(tmp_path: Path) -> None:
    tags = datasets.ClassLabel(names=["O", "B-X"])
    features = datasets.Features(tags=datasets.List(tags), label=tags)
    data = datasets.Dataset.from_list([{"tags": [0, 1], "label": -1}, {"tags": [], "label": 1}], features=features)
    assert list(hub.rows(data, ["tags", "label"])) == [
        {"tags": ["O", "B-X"], "label": None},
        {"tags": [], "label": "B-X"},
    ]


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    moods().save_to_disk(tmp_path / "set")
    first = digest(spec(), tmp_path)
    shutil.copytree(tmp_path / "set", tmp_path / "copy")
    assert digest(spec(train="copy"), tmp_path) == first
    shutil.rmtree(tmp_path / "set")
    renamed = moods().cast_column("label", datasets.ClassLabel(names=["bad", "good"]))
    renamed.save_to_disk(tmp_path / "set")
    assert digest(spec(), tmp_path) != first


def test_on_the_disk(tmp_path: Path) -> None:
    moods().save_to_disk(tmp_path / "set")
    found = load(spec(on_disk=True), ROWS, tmp_path, 0, Store(tmp_path / "store"))
    assert isinstance(found.train, Rows) and list(found.train) == load(spec(), ROWS, tmp_path, 0).train


def on_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[Any, ...]]:
    """What is asked of `datasets.load_dataset`, which answers or raises this."""
    asked = []

    def load_dataset(*given: Any, **_: Any) -> Any:
        asked.append(given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_the_hub_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = on_hub(monkeypatch, datasets.DatasetDict(train=moods(), validation=moods(8, 1), dev=moods(4, 2)))
    data = spec(train="hub://owner/name/en", validation="hub://owner/name/en", test="hub://owner/name/en#dev")
    found = load(data, ROWS, tmp_path, 0)
    assert (len(found.train), len(found.validation), found.test) == (40, 8, tiny.rows(4, 2))
    assert digest(data, tmp_path) != digest(data.model_copy(update={"test": None}), tmp_path)
    assert asked == [("owner/name", "en")]
    message = complaint(tmp_path, train="hub://owner/name/en#train", test="hub://owner/name/en")
    assert "hub://owner/name/en: must have the split 'test', got 'train', 'validation', 'dev'" in message


@pytest.mark.parametrize(
    ("raised", "kind", "parts"),
    [
        (
            ConnectionError("Couldn't reach"),
            UnavailableError,
            ["not on this machine", "hf download --repo-type dataset owner/name"],
        ),
        (datasets.exceptions.DatasetNotFoundError("doesn't exist"), InputError, ["that you may read", "hf auth login"]),
        (RuntimeError("Dataset scripts are no longer supported"), InputError, ["scripts", "parquet"]),
    ],
)
def test_what_the_hub_does_not_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[Exception], parts: list[str]
) -> None:
    on_hub(monkeypatch, raised)
    message = complaint(tmp_path, kind, train="hub://owner/name")
    for part in ("hub://owner/name", *parts):
        assert part in message


def test_without_network(tmp_path: Path) -> None:
    # Nothing is replaced here: this is what the libraries say where they may not ask the hub.
    message = complaint(tmp_path, UnavailableError, train="hub://owner/name")
    assert "is not on this machine and the hub cannot be reached" in message


def downloaded(folder: Path) -> Path:
    """A set of two configurations as `hf download` leaves it in the hub's cache."""
    place = folder / "hub" / "datasets--owner--name"
    snapshot = place / "snapshots" / COMMIT
    files = {"README.md": "---\nconfigs:\n- {config_name: one, data_files: one.jsonl}\n"
             "- {config_name: two, data_files: two.jsonl}\n---\n"}  # fmt: skip
    files |= {
        name: "".join(json.dumps(row) + "\n" for row in tiny.rows(count))
        for name, count in (("one.jsonl", 9), ("two.jsonl", 7))
    }
    for name, text in files.items():
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_text(text)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    return place


def listing(place: Path) -> None:
    """The hub's listing of the files, which tells whether one is missing."""
    from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

    names = [file.name for file in (place / "snapshots" / COMMIT).iterdir()]
    write_tree_cache(str(place), COMMIT, {name: TreeCacheEntry(1, "b", None, None, None) for name in names})


def test_what_was_downloaded_before_needs_no_network(tmp_path: Path) -> None:
    place = downloaded(tmp_path)
    listing(place)
    found = load(spec(train="hub://owner/name/two", validation="hub://owner/name/one#train"), ROWS, tmp_path, 0)
    assert found.train == tiny.rows(7) and found.validation == tiny.rows(9)
    hub._from_hub.cache_clear()
    message = complaint(tmp_path, train="hub://owner/name")
    assert "Config name is missing" in message and "['one', 'two']" in message
    assert "'three' not found. Available: ['one', 'two']" in complaint(tmp_path, train="hub://owner/name/three")


@pytest.mark.parametrize("listed", [True, False])
def test_a_download_that_may_lack_files_is_not_taken_for_whole(tmp_path: Path, listed: bool) -> None:
    place = downloaded(tmp_path)
    if listed:
        listing(place)
    (place / "snapshots" / COMMIT / "one.jsonl").unlink()
    assert "not on this machine" in complaint(tmp_path, UnavailableError, train="hub://owner/name/two")


def test_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "edgesft[hub]" in complaint(tmp_path, UnavailableError, train="hub://owner/name")
