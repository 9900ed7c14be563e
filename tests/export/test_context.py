"""Kits and models compiled for one chip: who is not told the chip takes another model, and says nothing wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesft.measure import driver
from edgesft.ship.pack import Order, pack
from edgesft.ship.variant import Device
from tests.export.script import Probe, RefusedInNode
from tests.ship import runs, test_variant
from tests.ship.conftest import QUIET, run  # noqa: F401 - a fixture
from tests.ship.npu import MACHINE, QNN, Npu, compiling

(CASES,) = (mark.args[1] for mark in test_variant.test_select.pytestmark if mark.name == "parametrize")


@pytest.fixture
def bundle(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.setattr(driver, "Agent", Npu)
    order = Order(compiling(run, tmp_path), tmp_path / "b", device=MACHINE, store=tmp_path / "store")
    return pack(order, QUIET).path


@pytest.mark.parametrize(("device", "expected"), CASES)
def test_select_in_python(device: Device, expected: tuple[str, str] | None) -> None:
    import kit.variant as theirs

    if test_variant.OTHER in device.static:
        pytest.skip("a provider that only the test knows")
    chips = {name: theirs.Chip(chip.name, chip.sdk) for name, chip in device.chips.items()}
    told = (device.providers, device.runtime, device.architecture, device.memory_bytes, device.forms, chips)
    found = theirs.select([each.to_json() for each in test_variant.VARIANTS], theirs.Device(*told))
    assert (found and (found[0]["name"], found[1])) == expected


def test_a_kit_without_the_chip_takes_another_model(bundle: Path, probe: Probe) -> None:
    import kit
    from kit.errors import InputError, UnavailableError

    opened = kit.open_bundle(bundle)
    assert opened.model.variant["name"] == "fp32" and not list(opened.golden())
    assert probe("open", path=str(bundle)) == "run"
    with pytest.raises(UnavailableError, match="provider must be one of"):
        kit.open_bundle(bundle, [f"{QNN}:soc_model=57"])
    with pytest.raises(InputError, match="NAME:option=value"):
        kit.open_bundle(bundle, [f"{QNN}:soc_model"])


def change(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda folder: runs.edit(folder / "manifest.json", lambda said: edit(said["variants"][0]))


@pytest.mark.parametrize(
    "attack",
    [
        change(lambda said: said.pop("compiled")),
        change(lambda said: said["compiled"].pop("chip")),
        change(lambda said: said.update(form="onnx")),
        change(lambda said: said.update(providers=["*"])),
    ],
)
def test_what_does_not_say_its_chip_is_refused(bundle: Path, probe: Probe, attack: Callable[[Path], None]) -> None:
    import kit
    from kit.errors import BrokenError

    attack(bundle)
    with pytest.raises(BrokenError, match=r"manifest\.json"):
        kit.open_bundle(bundle)
    with pytest.raises(RefusedInNode, match="variants"):
        probe("open", path=str(bundle))
