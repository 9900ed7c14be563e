"""Where pretrained weights are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.tasks.models import source


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `weights_for_tests` with a folder `model`."""
    folder = tmp_path / "weights_for_tests"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def complaint(name: str) -> str:
    with pytest.raises(InputError) as caught:
        source.resolve(name)
    return str(caught.value)


def test_package(package: Path) -> None:
    assert source.resolve("pkg://weights_for_tests/model") == package / "model"
    assert "weights_for_tests" not in sys.modules
    assert "'weights_for_tests' has no folder 'modle'" in complaint("pkg://weights_for_tests/modle")
    assert "weights_for_tests/model'" in complaint("pkg://weights_for_tests/modle")
    assert "pip install no-such-package" in complaint("pkg://no_such_package/model")
    assert "not installed" in complaint("pkg://")


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    assert source.resolve(str(tmp_path / "checkpoint")) == tmp_path / "checkpoint"
    assert source.resolve("checkpoint", tmp_path) == tmp_path / "checkpoint"
    assert repr(str(tmp_path / "checkpoint")) in complaint(str(tmp_path / "chekpoint"))
    (tmp_path / "checkpoint" / "model.safetensors").touch()
    assert "name its folder" in complaint(str(tmp_path / "checkpoint" / "model.safetensors"))


@pytest.mark.parametrize("name", ["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2"])
def test_hub_id_is_left_alone(name: str) -> None:
    assert source.resolve(name) == name


@pytest.mark.parametrize("name", ["./model", "~/no-such-model", "model.safetensors", "a/b/c", "two words"])
def test_what_looks_like_a_path_must_exist(name: str) -> None:
    assert "no such folder" in complaint(name)


def test_digest_follows_what_is_loaded(bert: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bert, tmp_path / "copy"))
    first = source.digest(bert)
    assert source.digest(copy) == first
    (copy / "README.md").write_text("changes nothing")
    assert source.digest(copy) == first
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert source.digest(copy) != first


def hub(monkeypatch: pytest.MonkeyPatch, cached: Path | None, online: Path | Exception) -> None:
    """Replaces the hub by one that has `cached` in its cache and gives `online` when asked."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(name: str, *, local_files_only: bool = False, **_: Any) -> str:
        place = cached or LocalEntryNotFoundError("nothing cached") if local_files_only else online
        if isinstance(place, Exception):
            raise place
        return str(place)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)


def test_cached_hub_model_needs_no_network(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, bert, OSError("no network"))
    assert source.folder("owner/name") == bert
    assert source.digest("owner/name") == source.digest(bert)


def test_half_cached_hub_model_is_fetched(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").touch()
    hub(monkeypatch, tmp_path, bert)
    assert source.folder("owner/name") == bert


def test_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, None, OSError("no network"))
    with pytest.raises(UnavailableError, match="the hub cannot be reached"):
        source.folder("owner/name")


def processors(folder: Path, one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two folders with these files read alike."""
    for name, files in (("one", one), ("other", other)):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_text(content)
    return source.read_alike(folder / "one", folder / "other")


def test_read_alike(tmp_path: Path) -> None:
    for name in source.VOCABULARIES:
        assert processors(tmp_path, {name: "1"}, {name: "1"})
        assert not processors(tmp_path, {name: "1"}, {name: "2"})
    assert {"vocab.json", "merges.txt", "tokenizer.model"} < set(source.VOCABULARIES)
    assert not processors(tmp_path, {"vocab.txt": "1"}, {"vocab.json": "1"}), "nothing in common tells nothing"


def test_how_a_tokenizer_was_last_used_does_not_matter(tmp_path: Path) -> None:
    name = "tokenizer.json"
    used = '{"truncation": {"max_length": 8}, "padding": null, "model": {"vocab": {}}}'
    assert processors(tmp_path, {name: used}, {name: '{"model": {"vocab":{}}}'})
    assert not processors(tmp_path, {name: used}, {name: '{"model": {"vocab": {"a": 0}}}'})
