"""Bundles as the kits' JavaScript opens them: every attack is refused with the file, and the right model is taken."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export.script import Probe, RefusedInNode
from tests.ship import runs, test_attacks, test_variant
from tests.ship.conftest import bundle, run  # noqa: F401 - fixtures


def refused(probe: Probe, path: Path, kind: str, file: str | None) -> None:
    with pytest.raises(RefusedInNode) as caught:
        probe("open", path=str(path))
    found = [(each["kind"], each["file"]) for each in caught.value.findings]
    assert (kind, file) in found, caught.value.findings


def test_a_whole_bundle(probe: Probe, bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    assert probe("open", path=str(bundle)) == "words"
    runs.zipped(list(runs.contents(bundle).items()), tmp_path / "b.zip")
    assert probe("open", path=str(tmp_path / "b.zip")) == "words"


@pytest.mark.parametrize("name", test_attacks.KINDS)
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_flipped_bit(probe: Probe, bundle: Path, tmp_path: Path, name: str, form: str) -> None:  # noqa: F811
    broken = runs.copy(bundle, tmp_path / "b")
    runs.flip(broken / name)
    if form == "archive":
        runs.zipped(list(runs.contents(broken).items()), tmp_path / "b.zip")
        broken = tmp_path / "b.zip"
    refused(probe, broken, "changed", name)


@pytest.mark.parametrize("attack", test_attacks.FILES, ids=lambda attack: attack.name)
def test_files(probe: Probe, bundle: Path, tmp_path: Path, attack: test_attacks.Attack) -> None:  # noqa: F811
    broken = runs.copy(bundle, tmp_path / "b")
    attack.do(broken)
    refused(probe, broken, attack.kind, attack.file)


@pytest.mark.parametrize("packing", test_attacks.ARCHIVES, ids=lambda packing: packing.name)
def test_archives(probe: Probe, bundle: Path, tmp_path: Path, packing: test_attacks.Packing) -> None:  # noqa: F811
    target = tmp_path / "b.zip"
    packing.do(bundle, target)
    refused(probe, target, packing.kind, packing.file)


def test_every_bit_of_an_archive_s_frame_counts(probe: Probe, bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    target = tmp_path / "b.zip"
    entries = runs.zipped(list(runs.contents(bundle).items()), target)
    data = target.read_bytes()
    inside = {place for entry in entries for place in range(entry.start, entry.start + entry.size)}
    frame = [place for place in range(len(data)) if place not in inside]
    for place in random.Random(0).sample(frame, 200):
        changed = bytearray(data)
        changed[place] ^= 1
        target.write_bytes(changed)
        with pytest.raises(RefusedInNode):
            probe("open", path=str(target))


@pytest.mark.parametrize("junk", [None, -1, "x", [], {}, 1e9, True, [None], {"a": 1}], ids=repr)
def test_whatever_stands_in_the_manifest_nothing_breaks(
    probe: Probe,
    bundle: Path,  # noqa: F811
    tmp_path: Path,
    junk: Any,
) -> None:
    from edgesft.ship import canonical

    broken = runs.copy(bundle, tmp_path / "b")
    before = (broken / "manifest.json").read_bytes()
    everywhere = list(test_attacks.places(json.loads(before)))
    for at in random.Random(repr(junk)).sample(everywhere, 30):
        (broken / "manifest.json").write_bytes(canonical.dump(test_attacks.put(json.loads(before), at, junk)))
        try:
            probe("open", path=str(broken))
        except RefusedInNode as error:
            assert all(finding["file"] for finding in error.findings)


def test_halves(probe: Probe) -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    exact = finite.astype(np.float64)
    between = (exact[:-1] + exact[1:]) / 2
    values = np.concatenate([exact, between, between * (1 + 1e-7), [1e-9, -1e-9, 65519, 65520, 7e4, -7e4]])
    values = values.astype(np.float32)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    got = probe("halves", values=[float(value) for value in values])
    np.testing.assert_array_equal(np.asarray([bits for bits, _ in got], np.uint16), expected.view(np.uint16))
    for (_, back), wanted in zip(got, expected.astype(np.float64), strict=True):
        assert back == (None if np.isinf(wanted) else wanted)  # JSON has no infinity.


(CASES,) = (mark.args[1] for mark in test_variant.test_select.pytestmark if mark.name == "parametrize")


@pytest.mark.parametrize(("device", "expected"), CASES)
def test_select(probe: Probe, device: test_variant.Device, expected: tuple[str, str] | None) -> None:
    if device.forms != ("onnx", "ort") or test_variant.OTHER in device.static:
        pytest.skip("of a reduced build, or a provider that only the test knows")
    told = {"providers": list(device.providers), "runtime": device.runtime, "architecture": device.architecture}
    variants = [each.to_json() for each in test_variant.VARIANTS]
    chips = {name: vars(chip) for name, chip in device.chips.items()}
    found = probe("select", variants=variants, device={**told, "memoryBytes": device.memory_bytes, "chips": chips})
    assert found == (expected and list(expected))
