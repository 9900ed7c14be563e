"""Attacks and accidents: each is refused, with the file and the reason."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesft.ship import archive, canonical
from edgesft.ship.sign import Trust
from edgesft.ship.verify import Report, verify
from tests.ship import runs
from tests.ship.conftest import Keys
from tests.ship.runs import edit, edit_model, flip, seal

MODEL, STATIC, ORT = "models/fp32/model.onnx", "models/fp32-static/model.onnx", "models/fp32-ort/model.ort"

KINDS = (
    "MODEL_CARD.md",
    "contract.json",
    "golden.json",
    "licences/base-model/LICENSE",
    "lineage.json",
    "measurements.json",
    MODEL,
    STATIC,
    ORT,
    "processor/tokenizer.json",
    "processor/tokenizer_config.json",
    "required_operators.config",
)
"""Every kind of file that a bundle lists."""


class Attack(NamedTuple):
    """What is done, and what must be said."""

    name: str
    do: Callable[[Path], Any]
    kind: str
    file: str | None
    words: str


def refused(report: Report, attack: Attack) -> None:
    assert not report.holds
    found = [each for each in report.findings if each.kind == attack.kind and each.where == attack.file]
    assert any(attack.words in each.message for each in found), [str(each) for each in report.findings]


def test_the_bundle_itself_holds(bundle: Path) -> None:
    report = verify(bundle)
    assert report.holds and report.checks["golden"] == "holds"
    assert set(runs.contents(bundle)) == {*KINDS, "manifest.json"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_flipped_bit_in_every_kind_of_file(bundle: Path, tmp_path: Path, name: str, form: str) -> None:
    broken = runs.copy(bundle, tmp_path / "b")
    flip(broken / name)
    if form == "archive":
        # As when it is flipped on the way: the archive's own checksum is the one of before.
        whole = tmp_path / "b.zip"
        entries = runs.zipped(list(runs.contents(bundle).items()), whole)
        entry = next(each for each in entries if each.name == name)
        flip(whole, entry.start + entry.size // 2)
        refused(verify(whole, rows=False), Attack("", print, "changed", name, "CRC-32"))
        return
    refused(verify(broken, rows=False), Attack("", print, "changed", name, "must have sha256"))


def replace(name: str, data: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(data)


def link(folder: Path) -> None:
    (folder / "golden.json").rename(folder.parent / "outside")
    (folder / "golden.json").symlink_to(folder.parent / "outside")


def link_folder(folder: Path) -> None:
    (folder / "processor").rename(folder.parent / "processor")
    (folder / "processor").symlink_to(folder.parent / "processor")


def swap(folder: Path) -> None:
    one, other = (folder / "models/fp32/model.onnx"), (folder / "models/fp32-static/model.onnx")
    one.write_bytes(other.read_bytes()[: one.stat().st_size].ljust(one.stat().st_size, b"\0"))


def manifest_of_another(folder: Path) -> None:
    other = json.loads((folder / "manifest.json").read_bytes())
    other["files"][MODEL]["sha256"] = "0" * 64
    (folder / "manifest.json").write_bytes(canonical.dump(other))


def said(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    """Changes what the manifest says."""
    return lambda folder: edit(folder / "manifest.json", change)


def text(before: bytes, after: bytes, name: str = "manifest.json") -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes().replace(before, after, 1))


FILES = (
    Attack("truncated model", lambda f: os.truncate(f / MODEL, 100), "changed", MODEL, "bytes, got 100"),
    Attack("longer model", lambda f: (f / MODEL).open("ab").write(b"\0"), "changed", MODEL, "bytes, got"),
    Attack("emptied file", replace("lineage.json", b""), "changed", "lineage.json", "got 0"),
    Attack("swapped files", swap, "changed", MODEL, "must have sha256"),
    Attack("extra file", replace("extra.bin", b"x"), "extra", "extra.bin", "does not list"),
    Attack("extra hidden file", replace(".DS_Store", b"x"), "extra", ".DS_Store", "letters, digits"),
    Attack("extra file that capitals tell apart", replace("Contract.json", b"x"), "name", "contract.json", "one file"),
    Attack("missing model", lambda f: (f / MODEL).unlink(), "missing", MODEL, "the manifest lists it"),
    Attack(
        "missing folder", lambda f: shutil.rmtree(f / "processor"), "missing", "processor/tokenizer.json", "no such"
    ),
    Attack("missing manifest", lambda f: (f / "manifest.json").unlink(), "missing", "manifest.json", "got none"),
    Attack("link in place of a file", link, "link", "golden.json", "got a link"),
    Attack("link in place of a folder", link_folder, "link", "processor", "got a link"),
    Attack("pipe", lambda f: os.mkfifo(f / "pipe"), "link", "pipe", "pipe, socket or device"),
    Attack("flipped manifest", lambda f: flip(f / "manifest.json", 0), "manifest", "manifest.json", "canonical JSON"),
    Attack(
        "truncated manifest", lambda f: os.truncate(f / "manifest.json", 90), "manifest", "manifest.json", "cut short"
    ),
    Attack("manifest of another bundle", manifest_of_another, "changed", MODEL, "must have sha256 000000000000"),
    Attack(
        "manifest spelled otherwise", text(b'{"files"', b'{ "files"'), "manifest", "manifest.json", "spelled otherwise"
    ),
    Attack("key twice", text(b'"version":3', b'"version":2,"version":3'), "manifest", "manifest.json", "twice"),
    Attack("float", text(b'"version":3', b'"version":3.0'), "manifest", "manifest.json", "the float 3.0"),
    Attack("not a number", text(b'"version":3', b'"version":NaN'), "manifest", "manifest.json", "NaN"),
    Attack("no UTF-8", text(b"edgesft/bundle", b"edgesft\xff"), "manifest", "manifest.json", "no UTF-8"),
    Attack("nested", replace("manifest.json", b"[" * 100_000), "manifest", "manifest.json", "canonical JSON"),
    Attack(
        "of a newer format", said(lambda s: s.update(schema_version=2)), "manifest", "manifest.json", "schema_version"
    ),
    Attack("of another schema", said(lambda s: s.update(schema="x")), "manifest", "manifest.json", "edgesft/bundle"),
    Attack("unknown key", said(lambda s: s.update(run="rm")), "manifest", "manifest.json", "keys must be"),
    Attack("version 0", said(lambda s: s.update(version=0)), "manifest", "manifest.json", "version must be"),
    Attack("version true", said(lambda s: s.update(version=True)), "manifest", "manifest.json", "version must be"),
    Attack("no models", said(lambda s: s.update(variants=[])), "manifest", "manifest.json", "at least one model"),
    Attack(
        "path out of the folder",
        said(lambda s: s["files"].update({"../../etc/passwd": s["files"][MODEL]})),
        "name",
        "manifest.json",
        "'..' in it",
    ),
    Attack(
        "full path",
        said(lambda s: s["files"].update({"/etc/passwd": s["files"][MODEL]})),
        "name",
        "manifest.json",
        "an absolute path",
    ),
    Attack(
        "digest that is none",
        said(lambda s: s["files"][MODEL].update(sha256="A" * 64)),
        "manifest",
        "manifest.json",
        "64 hexadecimal",
    ),
    Attack(
        "negative length",
        said(lambda s: s["files"][MODEL].update(length=-1)),
        "manifest",
        "manifest.json",
        "whole number",
    ),
    Attack(
        "lists itself",
        said(lambda s: s["files"].update({"manifest.json": s["files"][MODEL]})),
        "manifest",
        "manifest.json",
        "must not list",
    ),
    Attack(
        "variant of no listed file",
        said(lambda s: s["variants"][0].update(file="x.onnx", files=["x.onnx"])),
        "manifest",
        "manifest.json",
        "made of files of the manifest",
    ),
    Attack(
        "variant of an unknown form",
        said(lambda s: s["variants"][0].update(form="pickle")),
        "manifest",
        "manifest.json",
        "variants.form",
    ),
)


@pytest.mark.parametrize("attack", FILES, ids=lambda attack: attack.name)
def test_files(bundle: Path, tmp_path: Path, attack: Attack) -> None:
    broken = runs.copy(bundle, tmp_path / "b")
    attack.do(broken)
    refused(verify(broken, rows=False), attack)


def external(location: str) -> Callable[[onnx.ModelProto], None]:
    """Moves the weights of a model out of its file."""

    def change(model: onnx.ModelProto) -> None:
        point(model.graph.initializer[0], location)

    return change


def point(tensor: onnx.TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def in_a_branch(model: onnx.ModelProto) -> None:
    """External data of a constant inside a branch inside a function, which no list of initializers shows."""
    tensor = helper.make_tensor("c", TensorProto.FLOAT, [1], [0.0])
    point(tensor, "../../../secret")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    branch = helper.make_graph([constant], "g", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])])
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    model.functions.append(helper.make_function("own", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 20)]))


def compiled_elsewhere(model: onnx.ModelProto) -> None:
    node = helper.make_node("EPContext", [], ["e"], domain="com.microsoft", embed_mode=0, ep_cache_context="/lib/x.so")
    model.graph.node.append(node)


def width(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3


def ort_outside(path: Path) -> None:
    from edgesft.ship import ortfile, ortwrite

    told = ortfile.parse(memoryview(path.read_bytes()), "x")
    told["model"]["graph"]["initializers"][0]["external_data_offset"] = 0
    path.write_bytes(ortwrite._Writer().finish(told))


def on(name: str, change: Callable[[Any], Any]) -> Callable[[Path], Any]:
    """Changes a JSON file or a model of a bundle."""
    return lambda folder: (edit if name.endswith(".json") else edit_model)(folder / name, change)


def labels(*names: str) -> Callable[[dict[str, Any]], None]:
    return lambda said: said.update(labels=list(names))


def golden(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    return on("golden.json", change)


def weights(model: onnx.ModelProto) -> None:
    """Somebody else's weights, in a model of the same look."""
    for ours, theirs in zip(model.graph.initializer, runs.model(seed=7).graph.initializer, strict=True):
        ours.CopyFrom(theirs)


RESEALED = (
    Attack("weights outside", on(MODEL, external("../../../secret")), "model", MODEL, "'../../../secret'"),
    Attack("weights at a full path", on(MODEL, external("/etc/passwd")), "model", MODEL, "'/etc/passwd'"),
    Attack("weights in another file", on(MODEL, external("../../golden.json")), "model", MODEL, "no file but those"),
    Attack("weights in a file that is not there", on(MODEL, external("w.data")), "model", MODEL, "'w.data'"),
    Attack("weights of a branch outside", on(MODEL, in_a_branch), "model", MODEL, "'../../../secret'"),
    Attack("compiled elsewhere", on(MODEL, compiled_elsewhere), "model", MODEL, "'/lib/x.so'"),
    Attack("ORT format with weights outside", lambda f: ort_outside(f / ORT), "model", ORT, "no file but those"),
    Attack("no ONNX", replace(MODEL, b"\xff" * 200), "model", MODEL, "must be an ONNX file"),
    Attack("empty ONNX", replace(MODEL, b""), "model", MODEL, "no graph"),
    Attack("cut ONNX", lambda f: os.truncate(f / MODEL, 3000), "model", MODEL, "must be an ONNX file"),
    Attack("no ORT format", replace(ORT, b"\0" * 200), "model", ORT, "must be of ORT's format"),
    Attack("cut ORT format", lambda f: os.truncate(f / ORT, 900), "model", ORT, "must be of ORT's format"),
    Attack("a label lost", on("contract.json", labels("negative")), "contract", "contract.json", "as many as classes"),
    Attack("a label twice", on("contract.json", labels("a", "a")), "contract", "contract.json", "none is there twice"),
    Attack(
        "more labels than scores",
        on("contract.json", lambda s: (s.update(labels=["a", "b", "c"]), s["decoding"].update(classes=3))),
        "model",
        MODEL,
        "a score for each of the 3 labels, got 2",
    ),
    Attack("another width", on(MODEL, width), "model", MODEL, "must be of shape"),
    Attack(
        "another input",
        on("contract.json", lambda s: (s["inputs"][0].update(name="ids"), s["preparation"].pop("fields"))),
        "model",
        MODEL,
        "inputs must be ids, attention_mask",
    ),
    Attack(
        "another type",
        on("contract.json", lambda s: s["inputs"][0].update(dtype="int32")),
        "model",
        MODEL,
        "must be of type int32",
    ),
    Attack(
        "another shape",
        on("contract.json", lambda s: s["inputs"][0].update(shape=["batch", 3, 4])),
        "model",
        ORT,
        "must be of shape",
    ),
    Attack(
        "a tokenizer elsewhere",
        on("contract.json", lambda s: s["preparation"].update(tokenizer="../tokenizer.json")),
        "contract",
        "contract.json",
        "a file of the bundle",
    ),
    Attack(
        "no decoding",
        on("contract.json", lambda s: s.pop("decoding")),
        "contract",
        "contract.json",
        "decoding must be there",
    ),
    Attack("no contract", lambda f: (f / "contract.json").unlink(), "missing", "contract.json", "of every bundle"),
    Attack(
        "a decoding that nobody knows",
        on("contract.json", lambda s: s["decoding"].update(kind="eval")),
        "contract",
        "contract.json",
        "decoding.kind must be one of",
    ),
    Attack(
        "an output that no model has",
        on("contract.json", lambda s: s["decoding"].update(output="scores")),
        "contract",
        "contract.json",
        "decoding.output must be one of logits",
    ),
    Attack(
        "a temperature of 0",
        on("contract.json", lambda s: s["decoding"].update(temperature=0)),
        "contract",
        "contract.json",
        "above 0",
    ),
    Attack(
        "a tolerance for everything",
        golden(lambda s: s["tolerances"]["fp32"].update({"*": 1e9})),
        "golden",
        "golden.json",
        "at most 1",
    ),
    Attack("no golden rows", lambda f: (f / "golden.json").unlink(), "missing", "golden.json", "of every bundle"),
    Attack("other weights", on(MODEL, weights), "golden", MODEL, "must be within 0.001"),
    Attack(
        "other answers",
        golden(lambda s: s["rows"][0]["outputs"]["fp32"].update(logits=runs.packed(np.ones((1, 2), np.float32)))),
        "golden",
        STATIC,
        "must be within 0.001",
    ),
    Attack(
        "answers of another shape",
        golden(lambda s: s["rows"][0]["outputs"]["fp32"].update(logits=runs.packed(np.ones((1, 3), np.float32)))),
        "golden",
        "golden.json",
        "a score for each of the 2 labels, got shape [1, 3]",
    ),
    Attack(
        "answers of another type",
        golden(lambda s: s["rows"][0]["outputs"]["fp32"].update(logits=runs.packed(np.ones((1, 2), np.float64)))),
        "golden",
        MODEL,
        "type must be",
    ),
    Attack("golden rows without rows", golden(lambda s: s.update(rows=[])), "golden", "golden.json", "rows must have"),
    Attack(
        "golden rows of a type that runs code",
        golden(lambda s: s["rows"][0]["inputs"]["input_ids"].update(dtype="object")),
        "golden",
        "golden.json",
        "of type object",
    ),
    Attack(
        "golden rows that are no base64",
        golden(lambda s: s["rows"][0]["inputs"]["input_ids"].update(data="%%%%")),
        "golden",
        "golden.json",
        "no base64",
    ),
    Attack(
        "golden rows without a tolerance",
        golden(lambda s: s["tolerances"]["fp32"].pop("*")),
        "golden",
        "golden.json",
        "a tolerance",
    ),
)


@pytest.mark.parametrize("attack", RESEALED, ids=lambda attack: attack.name)
def test_with_every_digest_right(bundle: Path, tmp_path: Path, attack: Attack) -> None:
    broken = runs.copy(bundle, tmp_path / "b")
    attack.do(broken)
    seal(broken)
    refused(verify(broken), attack)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*at, key))


def put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    value[at[0]] = put(value[at[0]], at[1:], new)
    return value


@pytest.mark.parametrize("name", ["manifest.json", "contract.json", "golden.json"])
@pytest.mark.parametrize("junk", [None, -1, "x", [], {}, 1e9, True, [None], {"a": 1}], ids=repr)
def test_whatever_stands_where_nothing_breaks(bundle: Path, tmp_path: Path, name: str, junk: Any) -> None:
    """Any value in any place is refused, or harmless; nothing raises what no message was written for."""
    broken = runs.copy(bundle, tmp_path / "b")
    before = (broken / name).read_bytes()
    rng = random.Random(f"{name}{junk}")
    everywhere = [at for at in places(json.loads(before)) if at[:1] != ("files",)]
    for at in rng.sample(everywhere, 6):
        (broken / name).write_bytes(canonical.dump(put(json.loads(before), at, junk)))
        if name != "manifest.json":
            seal(broken)
        verify(broken, rows=name == "golden.json")


def zipped(*files: tuple[str, bytes], attributes: int | None = None) -> Callable[[Path, Path], Any]:
    """Writes files besides the bundle's with Python's zipfile, as somebody else's tool does."""

    def make(folder: Path, target: Path) -> None:
        with zipfile.ZipFile(target, "w") as out:
            for name, data in files:
                info = zipfile.ZipInfo(name)
                info.external_attr = (attributes or 0o100644) << 16
                out.writestr(info, data)

    return make


def written(change: Callable[[list[tuple[str, bytes]]], Any]) -> Callable[[Path, Path], Any]:
    """Writes a changed list of files as edgesft writes archives."""

    def make(folder: Path, target: Path) -> None:
        files = list(runs.contents(folder).items())
        runs.zipped(change(files) or files, target)

    return make


def patched(change: Callable[[bytearray], Any]) -> Callable[[Path, Path], Any]:
    """Changes the bytes of an archive."""

    def make(folder: Path, target: Path) -> None:
        runs.zipped(list(runs.contents(folder).items()), target)
        data = bytearray(target.read_bytes())
        target.write_bytes(change(data) or data)

    return make


def bomb(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("manifest.json", bytes(50_000_000))
    assert target.stat().st_size < 100_000


def overlapping(folder: Path, target: Path) -> None:
    """Two entries of one file's bytes: the bomb of David Fifield (2019) is made of such."""
    entries = runs.zipped([("a.bin", bytes(100)), ("b.bin", bytes(100))], target)
    data = target.read_bytes()
    end = entries[1].start + entries[1].size
    twice = entries[0].record + archive.Entry("b.bin", 100, entries[1].crc, entries[0].offset).record
    target.write_bytes(data[:end] + twice + archive._end(2, len(twice), end))


def end(**fields: int) -> Callable[[bytearray], Any]:
    """Changes the end of an archive."""
    names = ("mark", "disk", "first", "here", "count", "length", "start", "comment")

    def change(data: bytearray) -> None:
        said = dict(zip(names, archive.END.unpack(data[-archive.END.size :]), strict=True)) | fields
        data[-archive.END.size :] = archive.END.pack(*said.values())

    return change


def first_header(place: int, value: int) -> Callable[[bytearray], Any]:
    return lambda data: struct.pack_into("<H", data, place, value)


class Packing(NamedTuple):
    """How an archive is made, and what must be said."""

    name: str
    do: Callable[[Path, Path], Any]
    kind: str
    file: str | None
    words: str


ARCHIVES = (
    Packing("path traversal", zipped(("../../evil", b"x")), "name", "../../evil", "'..' in it"),
    Packing("path traversal inside", zipped(("a/../../evil", b"x")), "name", "a/../../evil", "'..' in it"),
    Packing("absolute path", zipped(("/etc/cron.d/evil", b"x")), "name", "/etc/cron.d/evil", "an absolute path"),
    Packing("drive letter", zipped(("C:/evil", b"x")), "name", "C:/evil", "an absolute path"),
    Packing("backslashes", written(lambda f: [("..\\evil", b"x")]), "name", "..\\evil", "'..' in it"),
    Packing("device on Windows", zipped(("aux.json", b"x")), "name", "aux.json", "device's name"),
    Packing("name with a control sign", zipped(("a\x1b.json", b"x")), "name", "a\x1b.json", "letters, digits"),
    Packing("long name", zipped(("a" * 300, b"x")), "name", "a" * 300, "at most 200"),
    Packing("link", zipped(("link", b"/etc/passwd"), attributes=0o120777), "link", "link", "got a link"),
    Packing("device", zipped(("disk", b""), attributes=0o060666), "link", "disk", "something else"),
    Packing("decompression bomb", bomb, "archive", "manifest.json", "unpack to 50000000"),
    Packing("overlapping files", overlapping, "archive", "b.bin", "files overlap"),
    Packing("duplicate names", written(lambda f: [f[0], *f]), "name", "MODEL_CARD.md", "got it twice"),
    Packing(
        "names that capitals tell apart",
        written(lambda f: [("GOLDEN.json", b"x"), *f]),
        "name",
        "golden.json",
        "one file on some systems",
    ),
    Packing("file that is a folder", written(lambda f: [*f, ("processor", b"x")]), "name", "processor", "one file"),
    Packing(
        "order", written(lambda f: list(reversed(f))), "archive", "processor/tokenizer_config.json", "must come before"
    ),
    Packing("extra file", written(lambda f: sorted([*f, ("extra", b"x")])), "extra", "extra", "does not list"),
    Packing("missing file", written(lambda f: f[1:]), "missing", "MODEL_CARD.md", "the manifest lists it"),
    Packing("cut in the middle", patched(lambda d: d[: len(d) // 2]), "archive", None, "must end with its directory"),
    Packing("cut by a byte", patched(lambda d: d[:-1]), "archive", None, "must end with its directory"),
    Packing("cut to nothing much", patched(lambda d: d[:10]), "archive", None, "cut short"),
    Packing("bytes behind", patched(lambda d: d + b"evil"), "archive", None, "must end with its directory"),
    Packing(
        "bytes before the directory", patched(lambda d: d[:-22] + b"x" + d[-22:]), "archive", None, "bytes were added"
    ),
    Packing("comment", patched(end(comment=4)), "archive", None, "no comment"),
    Packing("more files than there are", patched(end(here=99, count=99)), "archive", None, "must have 99 files"),
    Packing("fewer files than there are", patched(end(here=3, count=3)), "archive", None, "must have a directory of"),
    Packing("directory of gigabytes", patched(end(length=2**31)), "archive", None, "directory of at most"),
    Packing("in pieces", patched(end(disk=1)), "archive", None, "in one piece"),
    Packing("other header than the directory's", patched(first_header(8, 8)), "archive", "MODEL_CARD.md", "header"),
    Packing("other time", patched(first_header(10, 1)), "archive", "MODEL_CARD.md", "header"),
)


@pytest.mark.parametrize("packing", ARCHIVES, ids=lambda packing: packing.name)
def test_archives(bundle: Path, tmp_path: Path, packing: Packing) -> None:
    target = tmp_path / "b.zip"
    packing.do(bundle, target)
    refused(verify(target, rows=False), Attack(packing.name, print, *packing[2:]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip"]


def test_every_bit_of_an_archive_s_frame_counts(tmp_path: Path) -> None:
    """One bit of each byte that is no file's content: headers, directory, end."""
    target = tmp_path / "b.zip"
    files = [("a.json", b"{}"), ("b.bin", bytes(archive.ALIGNED))]
    entries = runs.zipped(files, target)
    data = target.read_bytes()
    inside = {place for entry in entries for place in range(entry.start, entry.start + entry.size)}
    padding = range(200, archive.ALIGNED - 200)  # Zeros; every byte of them is compared alike.
    for place in sorted(set(range(len(data))) - inside - {each for each in padding if each % 97}):
        changed = bytearray(data)
        changed[place] ^= 1
        target.write_bytes(changed)
        with target.open("rb") as file, pytest.raises(archive.RefusedError):
            archive.read(file)


def test_a_signature_that_was_taken_off(signed: Path, keys: Keys, tmp_path: Path) -> None:
    broken = runs.copy(signed, tmp_path / "b")
    (broken / "signature.json").unlink()
    report = verify(broken, trust=Trust(keys.public), rows=False)
    refused(report, Attack("", print, "signature", "signature.json", "got no signature"))


def test_a_signature_by_somebody_else(signed: Path, keys: Keys) -> None:
    report = verify(signed, trust=Trust(keys.other_public), rows=False)
    refused(report, Attack("", print, "signature", "signature.json", "by '"))


def test_a_manifest_that_was_swapped_under_the_signature(signed: Path, keys: Keys, tmp_path: Path) -> None:
    """Every digest of the manifest is right, and the signature is good, but of other files."""
    broken = runs.copy(signed, tmp_path / "b")
    flip(broken / MODEL, 3000)
    (broken / "MODEL_CARD.md").rename(broken / "CARD.md")
    seal(broken)
    report = verify(broken, trust=Trust(keys.public), rows=False)
    for kind, name in (
        ("changed", MODEL),
        ("changed", "manifest.json"),
        ("missing", "MODEL_CARD.md"),
        ("extra", "CARD.md"),
    ):
        refused(report, Attack("", print, kind, name, "signed"))


def test_an_older_bundle(signed: Path, keys: Keys) -> None:
    report = verify(signed, trust=Trust(keys.public), rows=False, at_least=4)
    refused(report, Attack("", print, "manifest", "manifest.json", "must be at least 4, got 3"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"{}",
        lambda data: b"[]",
        lambda data: b"\xff" * 100,
        lambda data: data.replace(b'"sig"', b'"gis"'),
        lambda data: bytes([*data[:400], data[400] ^ 1, *data[401:]]),
        lambda data: bytes(5_000_000),
    ],
    ids=["cut", "empty", "object", "list", "bytes", "keys", "bit", "long"],
)
def test_a_damaged_signature(signed: Path, keys: Keys, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    broken = runs.copy(signed, tmp_path / "b")
    (broken / "signature.json").write_bytes(spoil((broken / "signature.json").read_bytes()))
    report = verify(broken, trust=Trust(keys.public), rows=False)
    assert not report.holds
    assert {(each.kind, each.where) for each in report.findings} == {("signature", "signature.json")}
