"""How long a keyword net takes whose features are made beside it, and in its file by STFT or by products.

    python bench/features.py                       (needs no data: the net of bench/tasks/words.yaml, untrained)

Interleaved, one thread; a figure is the median of `ROUNDS` rounds of one inference each, features included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from edgesft.data.media.audio import Reader
from edgesft.spec.media import AudioSpec
from edgesft.stages.export.graph import convert, save
from edgesft.tasks.audio.logmel import Fronted, LogMel
from edgesft.tasks.base import Graph

sys.path.insert(0, str(Path(__file__).parent))

from nets import keywords

ROUNDS = 500
OPSET = 20
READING = {"rate": 8000, "seconds": 1, "frame": 0.04, "hop": 0.02, "mels": 40, "coefficients": 10}


def main() -> None:
    """Prints two lines each."""
    samples = (0.1 * np.random.default_rng(0).standard_normal((1, 8000))).astype(np.float32)
    torch.manual_seed(0)
    net, timed = keywords(), dict[str, Callable[[], Any]]()
    with torch.no_grad():
        for _ in range(50):  # Statistics for its normalisations, without which it answers the same to everything.
            net(torch.randn(16, 1, 49, 10))
    net.eval()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("none", "stft", "matmul"):
            said = AudioSpec.model_validate({**READING, "in_graph": kind}).model_dump()
            reader, place = Reader(said), Path(folder) / f"{kind}.onnx"
            module = net if kind == "none" else Fronted(LogMel(said), net, "x")
            fed = torch.from_numpy(np.repeat(reader.feed(samples), 2, axis=0))
            name = "x"
            save(convert(Graph("model", module, {name: fed}, {name: {0: "batch"}}, ("logits",)), opset=OPSET), place)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(str(place), options)

            def once(session: Any = session, name: str = name, reader: Reader = reader) -> Any:
                return session.run(None, {name: reader.feed(samples)})[0]

            timed[kind] = once
            print(f"{kind}: {place.stat().st_size / 1e3:.0f} kB")
        beside = timed["none"]()
        taken: dict[str, list[int]] = {kind: [] for kind in timed}
        for _ in range(ROUNDS):
            for kind, run in timed.items():
                start = time.perf_counter_ns()
                run()
                taken[kind].append(time.perf_counter_ns() - start)
    for kind, run in timed.items():
        apart = np.abs(run() - beside).max() / np.abs(beside).max()
        medians = np.median(taken[kind]), np.median(np.asarray(taken[kind]) / np.asarray(taken["none"]))
        print(f"{kind}: {medians[0] / 1e6:.3f} ms, {medians[1]:.2f} of beside, answers off by {apart:.1e}")


if __name__ == "__main__":
    main()
