"""Which model a device takes."""

from __future__ import annotations

from typing import Any

import pytest

from edgesft.ship.finding import RefusedError
from edgesft.ship.variant import Chip, Device, Variant, select, version

OTHER = "OtherExecutionProvider"
CPU, QNN, CUDA = "CPUExecutionProvider", "QNNExecutionProvider", "CUDAExecutionProvider"


def variant(name: str, *providers: str, **said: Any) -> Variant:
    told = {"form": "onnx", "precision": "fp32", "golden": "fp32", "runtime": "1.23", **said}
    return Variant(name, f"{name}.onnx", (f"{name}.onnx",), providers=providers, **told)


COMPILED = {"chip": "57", "sdk": "v2.51.0.1", "package": "onnxruntime-qnn 2.7.0", "runtime": "1.32.0"}


def npu(chip: str, sdk: str = "2.51.0") -> Device:
    return Device((QNN, CPU), "1.32", static=(QNN,), chips={QNN: Chip(chip, sdk)})


VARIANTS = (
    variant("compiled", QNN, form="context", static=True, compiled=COMPILED),
    variant("int8", CPU, "*"),
    variant("static", QNN, "*", static=True),
    variant("ort", CPU, "*", form="ort"),
    variant("large", CUDA, memory_bytes=4 << 30),
    variant("new", CUDA, runtime="1.40"),
)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Device((CPU,), "1.32.0"), ("int8", CPU)),
        (npu("57"), ("compiled", QNN)),
        (npu("57", "2.60"), ("compiled", QNN)),
        (npu("57", "2.40"), ("static", QNN)),
        (npu("57", ""), ("static", QNN)),
        (npu("69"), ("static", QNN)),
        (Device((QNN, CPU), "1.32", static=(QNN,)), ("static", QNN)),
        (Device((CPU,), "1.32", forms=("ort",)), ("ort", CPU)),
        (Device((CUDA, CPU), "1.32", memory_bytes=8 << 30), ("large", CUDA)),
        (Device((CUDA, CPU), "1.32", memory_bytes=1 << 30), ("int8", CPU)),
        (Device((CUDA,), "1.40.1", memory_bytes=1 << 30), ("new", CUDA)),
        (Device((OTHER,), "1.32"), ("int8", OTHER)),
        (
            Device(("OtherExecutionProvider",), "1.32", static=("OtherExecutionProvider",)),
            ("static", "OtherExecutionProvider"),
        ),
        (Device((CPU,), "1.22.0"), None),
        (Device((), "1.32"), None),
    ],
)
def test_select(device: Device, expected: tuple[str, str] | None) -> None:
    found = select(VARIANTS, device)
    assert (found and (found[0].name, found[1])) == expected


def test_versions_compare_as_numbers() -> None:
    assert version("1.9") < version("1.10") < version("1.10.1+cpu") and version("1.23.0rc1") >= version("1.23")


def test_json_there_and_back() -> None:
    for each in VARIANTS:
        assert Variant.from_json(each.to_json()) == each


@pytest.mark.parametrize(
    "change",
    [
        {"compiled": {}},
        {"compiled": {**COMPILED, "chip": 57}},
        {"providers": [QNN, CPU]},
        {"providers": ["*"]},
        {"name": 1},
        {"providers": [1]},
        {"static": 1},
        {"form": "x"},
        {"files": []},
        {"runtime": "new"},
        {"more": 1},
    ],
)
def test_what_a_variant_cannot_say(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="variant"):
        Variant.from_json({**VARIANTS[0].to_json(), **change})
