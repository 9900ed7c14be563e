from __future__ import annotations

import pytest

from edgesft.measure.fingerprint import machine
from edgesft.measure.saturation import proof, saturates


@pytest.mark.parametrize(
    ("architecture", "instructions", "expected"),
    [
        ("x86_64", ["avx2", "fma"], True),
        ("x86_64", ["avx2", "avx512f", "avx512bw"], True),
        ("AMD64", [], True),
        ("x86_64", ["avx2", "avx_vnni"], False),
        ("x86_64", ["avx2", "avx512f", "avx512_vnni"], False),
        ("aarch64", ["asimd"], False),
    ],
)
def test_bytes_saturate_on_x86_without_vnni(architecture: str, instructions: list[str], expected: bool) -> None:
    assert saturates({"architecture": architecture, "instructions": instructions}) == expected


def test_the_receipt_says_what_was_proven() -> None:
    assert proof({"instructions": ["avx2", "avx512_vnni", "amx_int8"]}) == "avx512_vnni, amx_int8"
    assert proof({"instructions": ["avx2"]}).startswith("none")
    assert proof(machine())
