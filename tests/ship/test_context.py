"""Models that a provider compiled ahead for a chip: packed, chosen, verified, attacked; no provider is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgesft.errors import UnavailableError
from edgesft.measure import driver
from edgesft.measure.devices.ssh import Ssh
from edgesft.measure.model.file import inspect
from edgesft.ship import context, ortfile, ortwrite
from edgesft.ship.pack import Order, Packed, pack
from edgesft.ship.source import open_source
from edgesft.ship.variant import Chip, Device, select
from edgesft.ship.verify import verify
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.npu import MACHINE, QNN, SDK, Npu, compiling, on
from tests.ship.test_attacks import ORT, Attack, refused

NAME = "fp32-qnn-57"

MODEL, BINARY = f"models/{NAME}/model.onnx", f"models/{NAME}/model_qnn.bin"

CPU = "CPUExecutionProvider"


@pytest.fixture
def npu(monkeypatch: pytest.MonkeyPatch) -> type[Npu]:
    """The provider, with settings that a test may change."""
    fake = type("Own", (Npu,), {"seen": [], "sessions": []})
    monkeypatch.setattr(driver, "Agent", fake)
    return fake


def packed(run: Path, folder: Path, name: str = "b", **order: Any) -> Packed:
    order = {"device": MACHINE, "store": folder / "store", **order}
    return pack(Order(run, folder / name, **order), QUIET)


@pytest.fixture
def bundle(npu: type[Npu], run: Path, tmp_path: Path) -> Path:
    return packed(compiling(run, tmp_path), tmp_path).path


@pytest.fixture
def apart(npu: type[Npu], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose binary lies beside the graph."""
    monkeypatch.setattr(context, "MOST_EMBEDDED_BYTES", 0)
    return packed(compiling(run, tmp_path), tmp_path).path


def variants(bundle: Path) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads((bundle / "manifest.json").read_bytes())["variants"]}


def test_what_is_compiled_comes_first_and_says_for_what(bundle: Path, npu: type[Npu]) -> None:
    first = next(iter(variants(bundle).values()))
    assert (first["name"], first["form"], first["providers"], first["golden"]) == (NAME, "context", [QNN], NAME)
    said = {"chip": "57", "package": "onnxruntime-qnn 2.7.0", "runtime": "1.32.0", "sdk": SDK}
    assert first["compiled"] == said and first["runtime"] == "1.32.0" and first["static"] and first["fixed"]["sizes"]
    assert not any("compiled" in each for name, each in variants(bundle).items() if name != NAME)
    golden = json.loads((bundle / "golden.json").read_bytes())
    assert set(golden["rows"][0]["outputs"]) == {"fp32", NAME} and golden["tolerances"][NAME][QNN] == 0.01
    lineage = json.loads((bundle / "lineage.json").read_bytes())["compiled"][NAME]
    assert lineage["off_cpu"] < 1e-5 and lineage["simulated"] == "a chip that is not there"
    assert "| QNN, chip 57 |" in (bundle / "MODEL_CARD.md").read_text()
    assert "com.microsoft;1;EPContext" in (bundle / "required_operators.config").read_text()


def test_it_is_compiled_by_a_session_as_the_profile_makes_it(run: Path, npu: type[Npu], tmp_path: Path) -> None:
    made, entries = compiling(run, tmp_path), {"session.set_denormal_as_zero": "1"}
    packed(made, tmp_path, "before")
    results = json.loads((made / "results.json").read_text())
    results["environment"]["profile"]["session"] = {"optimisation": "basic", "entries": entries}
    (made / "results.json").write_text(json.dumps(results))
    packed(made, tmp_path)
    assert npu.sessions == [("all", {}), ("basic", entries)], "and is not taken for the one of before"


def test_what_is_not_run_is_said(bundle: Path) -> None:
    report = verify(bundle)
    assert report.holds and report.not_run == {NAME: f"it is for {QNN}"}
    assert report.checks["golden"] == "holds for 3 of 4 models" and report.to_json()["not_run"] == report.not_run


def test_it_is_run_where_the_provider_is(bundle: Path) -> None:
    report = verify(bundle, place=on("57"))
    assert report.holds and NAME not in report.not_run and report.simulated == "a chip that is not there"
    assert report.checks["golden"].endswith(f"on {QNN} of npu, which was a chip that is not there, not hardware")


@pytest.mark.parametrize(("chip", "sdk", "words"), [("69", "2.51.0", "got chip 69"), ("57", "2.50.9", "got 2.50.9")])
def test_another_chip_or_older_libraries_run_another_model(
    bundle: Path, npu: type[Npu], chip: str, sdk: str, words: str
) -> None:
    npu.sdk = sdk
    report = verify(bundle, place=on(chip))
    assert report.holds and words in report.not_run[NAME] and "fp32-static" not in report.not_run


def test_answers_that_are_other_ones_on_the_chip_are_found(bundle: Path, npu: type[Npu]) -> None:
    npu.off = 5.0
    found = verify(bundle, place=on("57")).findings
    assert [(each.kind, each.where) for each in found] == [("golden", MODEL)] and QNN in found[0].message


def test_a_provider_that_is_not_there(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(UnavailableError, match="onnxruntime-qnn"):
        verify(bundle, place=type(on("57"))(QNN, {"soc_model": "57"}))


def test_packed_twice_it_has_the_same_bytes_though_compiled_twice_it_has_others(
    run: Path, npu: type[Npu], tmp_path: Path
) -> None:
    made = compiling(run, tmp_path)
    digests = [
        open_source(packed(made, tmp_path, name, store=tmp_path / store).path).digest(MODEL)
        for name, store in (("a", "one"), ("b", "one"), ("c", "other"))
    ]
    assert npu.seen == ["57", "57"] and digests[0] == digests[1] != digests[2]


def test_a_bundle_for_several_chips(run: Path, npu: type[Npu], tmp_path: Path) -> None:
    made = packed(compiling(run, tmp_path), tmp_path, chips=("57", "69"))
    assert npu.seen == ["57", "69"] and not made.left_out
    static = (QNN,)
    for chip, expected in (("57", NAME), ("69", "fp32-qnn-69"), ("43", "fp32-static"), (None, "fp32-static")):
        chips = {QNN: Chip(chip, "2.51.0")} if chip else {}
        found = select(made.manifest.variants, Device((QNN, CPU), "1.32.0", static=static, chips=chips))
        assert found and (found[0].name, found[1]) == (expected, QNN)
    older = select(made.manifest.variants, Device((QNN,), "1.31", static=static, chips={QNN: Chip("57", "2.51.0")}))
    assert older and older[0].name == "fp32-static"


@pytest.mark.parametrize(
    ("options", "order", "words"),
    [
        ({}, {}, "must be told the chip, got no option soc_model"),
        (None, {"device": Ssh("pi@board", label="board")}, "board must be an interpreter here"),
    ],
)
def test_what_cannot_be_compiled_is_left_out(
    run: Path, npu: type[Npu], tmp_path: Path, options: dict[str, str] | None, order: dict[str, Any], words: str
) -> None:
    made = packed(compiling(run, tmp_path, options), tmp_path, **order)
    assert words in made.left_out["context"] and NAME not in variants(made.path) and verify(made.path).holds


def test_without_the_provider_it_is_left_out(run: Path, tmp_path: Path) -> None:
    made = packed(compiling(run, tmp_path), tmp_path, device=None, variants=("model", "context"))
    assert "onnxruntime-qnn" in made.left_out["context"] and "--device" in made.left_out["context"]


def test_answers_that_follow_from_compiling_are_told_from_wrong_ones(
    run: Path, npu: type[Npu], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npu.off = 0.5
    made = compiling(run, tmp_path)
    left = packed(made, tmp_path, "a").left_out["context"]
    assert "must answer as the session that compiled it" in left
    # The session itself is far from the CPU's, too; the run was not evaluated there.
    monkeypatch.setattr(context, "EXACT", 10.0)
    left = packed(made, tmp_path, "b").left_out["context"]
    assert "must be within 0.01 of the CPU provider's" in left and not (tmp_path / "b" / MODEL).exists()
    results = json.loads((made / "results.json").read_text())
    results["stages"][-1]["provider"] = QNN
    (made / "results.json").write_text(json.dumps(results))
    assert not packed(made, tmp_path, "c").left_out


def test_a_binary_beside_the_graph_is_a_file_of_the_bundle(apart: Path) -> None:
    assert variants(apart)[NAME]["files"] == [MODEL, BINARY]
    assert [file.name for file in inspect(apart / MODEL).files] == ["model.onnx", "model_qnn.bin"]
    assert verify(apart, place=on("57")).holds
    (apart / BINARY).unlink()
    assert {(each.kind, each.where) for each in verify(apart).findings} == {("missing", BINARY)}


def test_a_changed_binary_is_refused(apart: Path, tmp_path: Path) -> None:
    runs.flip(apart / BINARY)
    assert [(each.kind, each.where) for each in verify(apart).findings] == [("changed", BINARY)]
    # With every digest made anew it is the provider that finds it, or a signature.
    (apart / BINARY).write_bytes((apart / BINARY).read_bytes()[:500])
    runs.seal(apart)
    assert verify(apart).holds and NAME in verify(apart).not_run
    refused(verify(apart, place=on("57")), Attack("", print, "model", MODEL, f"must load on {QNN}"))


def node(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Changes attributes of the compiled node."""

    def edit(model: onnx.ModelProto) -> None:
        own = model.graph.node[0]
        said = {each.name: onnx.helper.get_attribute_value(each) for each in own.attribute}
        change(said)
        del own.attribute[:]
        own.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in said.items())

    return lambda folder: runs.edit_model(folder / MODEL, edit)


def manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda folder: runs.edit(folder / "manifest.json", lambda said: change(said["variants"][0]))


def no_node(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / "models/fp32-static/model.onnx").read_bytes())


def in_ort_format(folder: Path) -> None:
    told = ortfile.parse(memoryview((folder / ORT).read_bytes()), "x")
    told["model"]["graph"]["nodes"][0]["op_type"] = "EPContext"
    (folder / ORT).write_bytes(ortwrite._Writer().finish(told))


def as_onnx(said: dict[str, Any]) -> None:
    said.update(form="onnx", providers=[QNN, "*"])
    said.pop("compiled")


def named_by(file: str) -> Callable[[Path], None]:
    return node(lambda said: said.update(embed_mode=0, ep_cache_context=file))


ATTACKS = (
    Attack("a binary outside", named_by("../../../secret.bin"), "model", MODEL, "'../../../secret.bin'"),
    Attack("a binary at a full path", named_by("/lib/x.so"), "model", MODEL, "'/lib/x.so'"),
    Attack("another variant's file as the binary", named_by("../fp32/model.onnx"), "model", MODEL, "no file but those"),
    Attack("a binary of no name", named_by(""), "model", MODEL, "no file but those"),
    Attack(
        "a partition without a binary that names one after all",
        node(lambda said: said.update(main_context=0, embed_mode=0, ep_cache_context="/lib/x.so")),
        "model",
        MODEL,
        "'/lib/x.so'",
    ),
    Attack(
        "a foreign chip",
        manifest(lambda said: said["compiled"].update(chip="69")),
        "model",
        MODEL,
        "must be compiled for",
    ),
    Attack(
        "other libraries",
        manifest(lambda said: said["compiled"].update(sdk="v2.40.0")),
        "model",
        MODEL,
        f"version v2.40.0 of its libraries, got {SDK}",
    ),
    Attack(
        "another provider's node",
        node(lambda said: said.update(source="OpenVINOExecutionProvider")),
        "model",
        MODEL,
        "got OpenVINOExecutionProvider",
    ),
    Attack("nothing compiled", no_node, "model", MODEL, "got no EPContext"),
    Attack("compiled, in ORT's format", in_ort_format, "model", ORT, "must hold nothing compiled"),
    Attack("compiled, and offered to every provider", manifest(as_onnx), "model", MODEL, "must hold nothing compiled"),
    Attack(
        "no word of the chip",
        manifest(lambda said: said.pop("compiled")),
        "manifest",
        "manifest.json",
        "variants.compiled must be there",
    ),
    Attack(
        "no chip",
        manifest(lambda said: said["compiled"].update(chip="")),
        "manifest",
        "manifest.json",
        "variants.compiled",
    ),
    Attack(
        "offered to a CPU",
        manifest(lambda said: said["providers"].append(CPU)),
        "manifest",
        "manifest.json",
        "the one that compiled it",
    ),
    Attack(
        "said of a model that was not compiled",
        lambda folder: runs.edit(
            folder / "manifest.json",
            lambda said: said["variants"][1].update(compiled=said["variants"][0]["compiled"]),
        ),
        "manifest",
        "manifest.json",
        "for the form context alone",
    ),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=[each.name for each in ATTACKS])
def test_attacks(bundle: Path, attack: Attack) -> None:
    attack.do(bundle)
    runs.seal(bundle)
    refused(verify(bundle), attack)
