"""Bundles whose model QNN compiled ahead: packed, verified and answered by the kit, on the simulator of the chip."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgesft.cli.main import main
from edgesft.ship import context
from edgesft.ship.pack import Order, Packed, pack
from edgesft.ship.session import Place
from edgesft.ship.verify import verify
from tests.providers.environments import FILE, device
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.npu import QNN, compiling

pytestmark = pytest.mark.providers

KIT = Path(__file__).parents[2] / "export" / "python"

CHIP = {"backend_type": "htp", "soc_model": "57"}

NAME = "fp32-qnn-57"


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run for an NPU left; read only."""
    folder = tmp_path_factory.mktemp("npu")
    return compiling(runs.write(folder / "cpu"), folder, CHIP)


def packed(run: Path, folder: Path, **order: Any) -> Packed:
    return pack(Order(run, folder / "b", **{"device": device("qnn"), "store": folder / "store", **order}), QUIET)


def test_packed_and_verified(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = packed(run, tmp_path)
    first = made.manifest.variants[0]
    assert (first.name, first.form, made.left_out) == (NAME, "context", {})
    assert first.compiled["chip"] == "57" and first.compiled["package"] == "onnxruntime-qnn 2.7.0"
    assert first.compiled["sdk"].startswith("v2.51.0") and first.runtime == first.compiled["runtime"] == "1.32.0"
    assert main(["verify", str(made.path)]) == 0
    assert f"not run    {NAME}: it is for {QNN}" in capsys.readouterr().out
    there = ["--devices", str(FILE), "--device", "qnn", "--format", "json"]
    assert main(["verify", str(made.path), "--provider", "qnn:soc_model=57", *there]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "simulator of the HTP" in told["simulated"] and NAME not in told["not_run"]
    assert main(["verify", str(made.path), "--provider", "qnn:soc_model=69", *there]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "got chip 69" in told["not_run"][NAME] and "fp32-static" not in told["not_run"]


def test_compiled_anew_it_has_the_same_bytes(run: Path, tmp_path: Path) -> None:
    one, other = (packed(run, tmp_path / name).manifest for name in ("one", "other"))
    assert {name for name in one.files if one.files[name] != other.files[name]} == set()


def test_a_binary_beside_the_graph(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MOST_EMBEDDED_BYTES", 0)
    made = packed(run, tmp_path, chips=("57", "69"), variants=("model", "context"))
    variants = {each.name: each for each in made.manifest.variants}
    assert not made.left_out and len(variants[NAME].files) == len(variants["fp32-qnn-69"].files) == 2
    place = Place(QNN, CHIP, device("qnn"))
    assert verify(made.path, place=place).holds
    binary = made.path / variants[NAME].files[1]
    binary.write_bytes(binary.read_bytes()[:1000])
    runs.seal(made.path)
    assert {(each.kind, each.where) for each in verify(made.path, place=place).findings} == {
        ("model", variants[NAME].file)
    }


@pytest.mark.parametrize(("chip", "variant"), [("57", NAME), ("69", "fp32-static")])
def test_the_kit_takes_it_for_its_chip(run: Path, tmp_path: Path, chip: str, variant: str) -> None:
    python = device("qnn").command(1, KIT)[0]
    made = packed(run, tmp_path)
    provider = f"{QNN}:backend_type=htp,soc_model={chip}"
    command = [python, "-m", "kit", str(made.path), "--provider", provider]
    environment = {"PYTHONPATH": str(KIT), "PATH": "/usr/bin:/bin"}

    def kit(*words: str) -> tuple[dict[str, Any], str]:
        done = subprocess.run([*command, *words], capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
        # The simulator says a line of its own, too.
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")] or ["{}"]
        return json.loads(line), done.stderr

    said, _ = kit()
    assert (said["variant"], said["provider"]) == (variant, QNN)
    assert kit("--text", "the film is great")[0]["label"] in ("negative", "positive")
    assert "hold" in kit("--golden")[1]
