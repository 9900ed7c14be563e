"""Bundles that somebody spoilt: the kit in Python refuses them, names the file, and parses nothing of it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesft.ship import archive
from tests.export import conftest  # noqa: F401 - finds the kit
from tests.ship import runs

MODEL = "models/fp32/model.onnx"


def refused(bundle: Path, told: str) -> None:
    import kit
    from kit.errors import BrokenError

    with pytest.raises(BrokenError, match=told):
        kit.open_bundle(bundle)


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def renamed(said: dict[str, Any], name: str) -> None:
    said["files"][name] = said["files"].pop(MODEL)
    for variant in said["variants"]:
        if variant["file"] == MODEL:
            variant.update(file=name, files=[name])


FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a model of other bytes": (lambda b: runs.flip(b / MODEL), f"{MODEL}: must have the sha256"),
    "a contract of other bytes": (lambda b: runs.flip(b / "contract.json"), "contract.json: must have the sha256"),
    "a card of other bytes": (lambda b: runs.flip(b / "MODEL_CARD.md"), "MODEL_CARD.md: must have the sha256"),
    "a file cut short": (lambda b: shorter(b / "golden.json"), r"golden.json: must have \d+ bytes"),
    "a file that is missing": (lambda b: (b / "lineage.json").unlink(), "lineage.json: must be there"),
    "a file too many": (lambda b: (b / "more.txt").write_text("x"), "more.txt: must not be there"),
    "a link": (lambda b: (b / "link").symlink_to("contract.json"), "link: must be a plain file"),
    "a folder that is a link": (lambda b: (b / "link").symlink_to(b / "models"), "link: must be a plain file"),
    "a pipe": (lambda b: os.mkfifo(b / "pipe"), "pipe: must be a plain file"),
    "a hidden file": (lambda b: (b / ".x").write_text("x"), "a name must be relative"),
    "no manifest": (lambda b: (b / "manifest.json").unlink(), "manifest.json: must be a file"),
    "a manifest that is none": (lambda b: (b / "manifest.json").write_text("{"), "manifest.json: must be JSON"),
    "a list": (lambda b: (b / "manifest.json").write_text("[]"), "manifest.json: must be version 1"),
    "a key twice": (
        lambda b: (b / "manifest.json").write_text('{"name":"a",' + (b / "manifest.json").read_text()[1:]),
        "manifest.json: must be JSON",
    ),
    "another version": (lambda b: runs.seal(b, lambda s: s.update(schema_version=2)), "version 1 of edgesft/bundle"),
    "a newer contract": (
        lambda b: (runs.edit(b / "contract.json", lambda s: s.update(schema_version=2)), runs.seal(b)),
        "version 1 of edgesft/contract",
    ),
    "a path that leads out": (
        lambda b: runs.seal(b, lambda s: renamed(s, "../m.onnx")),
        "manifest.json: must list files",
    ),
    "an absolute path": (lambda b: runs.seal(b, lambda s: renamed(s, "/m.onnx")), "manifest.json: must list files"),
    "a device's name": (
        lambda b: runs.seal(b, lambda s: renamed(s, "models/NUL.onnx")),
        "manifest.json: must list files",
    ),
    "a variant of no file": (
        lambda b: runs.seal(b, lambda s: s["variants"][0].update(file="m", files=["m"])),
        "manifest.json: must list files",
    ),
    "no variants": (lambda b: runs.seal(b, lambda s: s.update(variants=[])), "manifest.json: must list files"),
    "a decoding that nobody knows": (
        lambda b: (runs.edit(b / "contract.json", lambda s: s["decoding"].update(kind="x")), runs.seal(b)),
        "decoding.kind must be one of",
    ),
    "a model that is none": (lambda b: ((b / MODEL).write_bytes(b"x"), runs.seal(b)), f"{MODEL}: must load"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(name: str, made: dict[str, Path], tmp_path: Path) -> None:
    spoil, told = FOLDERS[name]
    bundle = runs.copy(made["text"], tmp_path / "b")
    spoil(bundle)
    refused(bundle, told)


def cut(data: bytes) -> bytes:
    return data[:-30]


ARCHIVES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut short": (cut, "archive must end with its directory"),
    "something behind": (lambda data: data + b"x", "archive must end with its directory"),
    "something before": (lambda data: b"PK\3\4" + data, "archive must end with its directory"),
    "a comment": (lambda data: data[:-2] + b"\1\0x", "archive must end with its directory"),
    "a name in the header alone": (lambda data: data.replace(b"contract.json", b"contract.jsom", 1), "contract.json"),
    "packed": (lambda data: data[:8] + b"\x08" + data[9:], "MODEL_CARD.md"),
    "encrypted": (lambda data: data[:6] + b"\x01" + data[7:], "MODEL_CARD.md"),
    "another date": (
        lambda data: data.replace(struct.pack("<2H", 0, 0x21), struct.pack("<2H", 1, 0x21)),
        "MODEL_CARD.md",
    ),
    "another byte": (lambda data: data.replace(b'"labels"', b'"lapels"'), "contract.json: must have the"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name: str, made: dict[str, Path], tmp_path: Path) -> None:
    spoil, told = ARCHIVES[name]
    whole = made["text"].parent / "bundle.zip"
    (tmp_path / "b.zip").write_bytes(spoil(whole.read_bytes()))
    refused(tmp_path / "b.zip", told)


def test_archives_of_other_names_or_orders(made: dict[str, Path], tmp_path: Path) -> None:
    files = list(runs.contents(made["text"]).items())
    runs.zipped(files[::-1], tmp_path / "a.zip")
    refused(tmp_path / "a.zip", "must come before")
    runs.zipped([*files, files[-1]], tmp_path / "b.zip")
    refused(tmp_path / "b.zip", "must come before")
    runs.zipped([("../x", b"x"), *files], tmp_path / "c.zip")
    refused(tmp_path / "c.zip", "a name must be relative")


def test_the_largest_archive_is_not_read_into_memory(made: dict[str, Path]) -> None:
    """Files lie at pages, so that a model is mapped where it lies."""
    from kit.bundle import Bundle

    bundle = Bundle(made["text"].parent / "bundle.zip")
    bundle.check()
    assert bundle.sizes[MODEL] > archive.ALIGNED and bundle._entries[MODEL].start % archive.ALIGNED == 0
    assert json.loads(bytes(bundle.view("contract.json")))["task"] == "text-classification"
