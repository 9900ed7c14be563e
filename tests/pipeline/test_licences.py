"""What the model and the data of a run say of their terms."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesft.pipeline.licences import licences


def told(model: object, **data: object) -> list[tuple[str, str | None, str | None]]:
    return [(each["of"], each["licence"], each["found"]) for each in licences({"model": model, "data": data})]


def folder(place: Path, **files: str) -> str:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name.replace("_", ".")).write_text(text)
    return str(place)


def test_a_card_before_a_file_of_terms(tmp_path: Path) -> None:
    model = folder(
        tmp_path / "m", README_md="---\nlicense: apache-2.0\ntags: [a]\n---\n# A model\n", LICENSE="MIT License\n"
    )
    assert told(model) == [("model", "apache-2.0", f"{model}/README.md")]


@pytest.mark.parametrize("name", ["LICENSE", "LICENCE_txt", "License_md", "COPYING"])
def test_a_file_of_terms(tmp_path: Path, name: str) -> None:
    model = folder(tmp_path / "m", **{name: "\n   # Apache License\nVersion 2.0\n"})
    assert told(model)[0][1] == "Apache License"


def test_data_beside_its_terms_and_heads_of_their_own(tmp_path: Path) -> None:
    place = folder(tmp_path / "d", train_jsonl="{}", README_md="---\nlicense: [cc-by-4.0, mit]\n---\n")
    found = told(None, train={"mood": f"{place}/train.jsonl", "topic": f"{tmp_path}/missing.jsonl"}, validation=0.1)
    assert found == [("data.train", "cc-by-4.0, mit", f"{place}/README.md"), ("data.train", None, None)]


@pytest.mark.parametrize("text", ["no front matter", "---\n: [\n---\n", "---\n- a list\n---\n", "---\ntags: []\n---\n"])
def test_cards_that_do_not_tell(tmp_path: Path, text: str) -> None:
    assert told(folder(tmp_path / "m", README_md=text)) == [("model", None, None)]


def test_a_package_by_what_it_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "some_weights" / "model", config_json="{}")
    (tmp_path / "some_weights" / "__init__.py").write_text("")
    facts = tmp_path / "some_weights-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.0\nLicense: MIT\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert told("pkg://some_weights/model") == [("model", "MIT", "package some-weights 1.0")]
    (tmp_path / "some_weights" / "model" / "LICENSE").write_text("BSD 3-Clause License")
    assert told("pkg://some_weights/model")[0][1] == "BSD 3-Clause License"
    assert told("pkg://no_such_package/model") == [("model", None, None)]


def test_the_hub_by_its_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    card = tmp_path / "README.md"
    card.write_text("---\nlicense: cc0-1.0\n---\n")
    known = {("owner/name", "dataset"): str(card), ("owner/model", "model"): str(card)}
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda name, file, repo_type: known.get((name, repo_type))
    )
    found = told("owner/model", train="hub://owner/name/configuration#train", test="hub://owner/other")
    assert found == [
        ("model", "cc0-1.0", "owner/model"),
        ("data.train", "cc0-1.0", "hub://owner/name"),
        ("data.test", None, None),
    ]


def test_a_factory_by_its_weights(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", LICENSE="MIT License", net_safetensors="")
    recipe = {"factory": "nets:small", "weights": f"{place}/net.safetensors", "loss": "huber"}
    assert told(recipe) == [("model", "MIT License", f"{place}/LICENSE")]
    assert told({"factory": "nets:small"}) == []


def test_nothing_heavy_is_loaded_for_a_folder() -> None:
    import subprocess

    code = "import sys; from edgesft.pipeline import licences; licences.licences({'model': '.'})"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
