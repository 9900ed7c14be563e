"""Which variant the kit in C++ takes, and how it is told the chip: the cases of `tests/ship/test_variant.py`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from edgesft.ship.variant import Device
from tests.export import native
from tests.ship import test_variant
from tests.ship.test_variant import QNN

(CASES,) = (mark.args[1] for mark in test_variant.test_select.pytestmark if mark.name == "parametrize")

VARIANTS = [each.to_json() for each in test_variant.VARIANTS]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Asks a program that has the kit's selector."""
    program = native.compiled("select", tmp_path_factory.mktemp("select"))

    def get(**asked: Any) -> Any:
        line = json.dumps({"variants": VARIANTS, "architecture": "", "runtime": "1.32", **asked})
        return json.loads(subprocess.run([program], input=line, capture_output=True, text=True, check=True).stdout)

    return get


@pytest.mark.parametrize(("device", "expected"), CASES)
def test_select(ask: Callable[..., Any], device: Device, expected: tuple[str, str] | None) -> None:
    if device.forms != ("onnx", "ort") or test_variant.OTHER in device.static:
        pytest.skip("of a reduced build, or a provider that only the test knows")
    named = {
        name: f":soc_model={chip.name}" + (f",sdk={chip.sdk}" if chip.sdk else "")
        for name, chip in device.chips.items()
    }
    told = {"runtime": device.runtime, "architecture": device.architecture}
    told |= {} if device.memory_bytes is None else {"memory_bytes": device.memory_bytes}
    found = ask(**told, providers=[name + named.get(name, "") for name in device.providers])
    assert found == list(expected or ())


@pytest.mark.parametrize("text", [f"{QNN}:", f"{QNN}:soc_model", f"{QNN}:soc_model=", f"{QNN}:=57", f"{QNN}:a=1,,b=2"])
def test_options_without_a_value_are_refused(ask: Callable[..., Any], text: str) -> None:
    assert ask(providers=[text]) == ["refused"]
