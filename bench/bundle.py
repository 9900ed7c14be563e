"""How long the integrity check of a bundle takes, beside `sha256sum` of the same bytes.

`python bench/bundle.py` makes a bundle of 100 MB, in a folder and in an archive, and times

    sha256sum FILES                       and
    edgesft verify BUNDLE --no-golden     (archive, manifest, every digest, the contract, every graph)

by turns, each a process of its own, with the files in the system's cache. What is to hold: at most 1.3 times
sha256sum plus 150 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesft.ship import archive, canonical, contract, golden, graph, verify
from edgesft.ship.integrity import digests
from edgesft.ship.manifest import MANIFEST, Listed, Manifest
from edgesft.ship.source import Folder
from edgesft.ship.variant import Variant

MODELS = (60, 30, 9)
"""MB of three models: a bundle has a few, and one of them is most of it."""

FACTOR, EXTRA_S = 1.3, 0.15


def model(megabytes: int, seed: int) -> onnx.ModelProto:
    """One product with a large matrix."""
    columns = megabytes * 1_000_000 // 4 // 1000
    weights = np.random.default_rng(seed).normal(size=(1000, columns)).astype(np.float32)
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["wide"]), helper.make_node("ReduceMax", ["wide"], ["y"], keepdims=1)],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1000])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def make(folder: Path) -> None:
    """Writes a bundle."""
    variants = []
    for number, megabytes in enumerate(MODELS):
        file = f"models/m{number}/model.onnx"
        (folder / file).parent.mkdir(parents=True)
        onnx.save(model(megabytes, number), str(folder / file))
        variants.append(Variant(f"m{number}", file, (file,), "onnx", "fp32", "fp32", ("*",), "1.23"))
    told = graph.read(memoryview((folder / variants[-1].file).read_bytes()), variants[-1].file)
    said = {
        "schema": contract.SCHEMA,
        "schema_version": contract.SCHEMA_VERSION,
        "task": "arrays",
        **{"labels": [], "options": {}, "states": {}, "thresholds": {}},
        **{"preparation": {"kind": "arrays", "columns": []}, "decoding": {"kind": "none"}},
        **{"inputs": contract.values(told.inputs), "outputs": contract.values(told.outputs)},
    }
    for name in verify.NEEDED:
        (folder / name).write_bytes(canonical.dump(said if name == contract.CONTRACT else {"name": name}))
    assert golden.GOLDEN in verify.NEEDED
    files = Folder(folder).files
    found = digests(Folder(folder), list(files))
    listed = {name: Listed(files[name], str(found[name])) for name in files}
    (folder / MANIFEST).write_bytes(Manifest("bench", 1, listed, tuple(variants)).dump())


def seconds(command: list[str]) -> float:
    """Wall-clock time of a process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> int:
    """Times both, prints medians and quartiles, and answers whether the figure holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--output", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    holds, told = True, {}
    with tempfile.TemporaryDirectory() as place:
        folder, whole = Path(place) / "bundle", Path(place) / "bundle.zip"
        make(folder)
        names = Folder(folder).files
        with whole.open("wb") as out:
            archive.write({name: folder / name for name in names}, out)
        verifying = [sys.executable, "-m", "edgesft", "verify", "--no-golden"]
        for form, bundle, files in (("folder", folder, [folder / name for name in names]), ("archive", whole, [whole])):
            commands = {"sha256sum": ["sha256sum", *map(str, files)], "verify": [*verifying, str(bundle)]}
            times: dict[str, list[float]] = {name: [] for name in commands}
            for name, command in commands.items():
                seconds(command)  # Brings the files into the cache.
                del name
            for turn in range(options.rounds):
                for name in list(commands)[:: 1 if turn % 2 else -1]:
                    times[name].append(seconds(commands[name]))
            ours, theirs = statistics.median(times["verify"]), statistics.median(times["sha256sum"])
            limit = FACTOR * theirs + EXTRA_S
            holds &= ours <= limit
            size = sum(file.stat().st_size for file in files)
            told[form] = {
                "bytes": size,
                "rounds": options.rounds,
                "seconds": times,
                "limit": limit,
                "holds": ours <= limit,
            }
            low, high = statistics.quantiles(times["verify"], n=4)[::2]
            print(
                f"{form:8} {size / 1e6:.1f} MB: sha256sum {theirs * 1e3:.0f} ms, verify {ours * 1e3:.0f} ms "
                f"(quartiles {low * 1e3:.0f} to {high * 1e3:.0f}), limit {limit * 1e3:.0f} ms, n = {options.rounds}"
            )
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
