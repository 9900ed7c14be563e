"""A bundle's model in ONNX Runtime, of the variant that this device takes."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # newer runtimes report the model's name to their maker

import numpy as np
import onnxruntime

from kit import agent
from kit.bundle import Bundle
from kit.errors import BrokenError, InputError, UnavailableError
from kit.variant import CHIPS, Chip, Device, fits, select

CPU = "CPUExecutionProvider"

ELSEWHERE = "AzureExecutionProvider"
"""Sends what it is asked to a server: no device has it of its own."""

Arrays = Mapping[str, np.ndarray]

MAIN = "model"
"""The graph that gives the answer."""


class Model:
    """A session for each graph.

    Attributes:
        variant: What the manifest says of its file.
        provider: What runs it.
        options: Of the provider.
        outputs: Names of what it answers.
        sessions: Graph → its session.
    """

    def __init__(
        self, bundle: Bundle, variant: Mapping[str, Any], provider: str, threads: int, given: Mapping[str, str]
    ) -> None:
        """Loads it; `given` are the provider's options.

        Raises:
            UnavailableError: The provider did not start.
            BrokenError: ONNX Runtime does not take the file.
        """
        self.variant, self.provider, self.states = variant, provider, bundle.contract["states"]
        self._links: Mapping[str, Any] = bundle.contract.get("links", {})
        self._fixed: Mapping[str, Any] = variant["fixed"]
        self.options = dict(given)
        with sources(bundle, variant) as files:
            self.sessions = {graph: self.started(file, parts(variant)[graph], threads) for graph, file in files.items()}
        self.outputs = [value.name for value in self.sessions[MAIN].get_outputs()]

    def started(self, file: str | bytes, name: str, threads: int) -> Any:
        """A session of a graph.

        Args:
            file: Its path or its bytes.
            name: What it is called in the bundle.
            threads: Of an inference.

        Raises:
            UnavailableError: The provider did not start.
            BrokenError: ONNX Runtime does not take the file.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        try:
            if plugin := plugged(self.provider):
                options.add_provider_for_devices(plugin[:1], self.options)
            known = None if plugin else list({self.provider: self.options, CPU: {}}.items())
            session = onnxruntime.InferenceSession(file, options, providers=known)
        except Exception as error:  # ONNX Runtime raises unrelated types of its own
            # Another provider may be at fault: one that is there and finds no hardware, or cannot compile the model.
            refusal = BrokenError if self.provider == CPU else UnavailableError
            raise refusal(f"{name}: must load in ONNX Runtime, got: {error}") from error
        if self.provider not in session.get_providers():
            raise UnavailableError(f"{self.provider} must start on this device, got a session without it")
        session.disable_fallback()
        return session

    def __call__(self, feeds: Arrays) -> dict[str, np.ndarray]:
        """One inference of each graph, those that give before those that take: outputs of the main one by name.

        Raises:
            InputError: It does not take such feeds.
            BrokenError: Graphs wait for each other.
        """
        whole, made = self.padded(feeds), dict[str, dict[str, np.ndarray]]()
        while len(made) < len(self.sessions):
            ready = [name for name in self.sessions if name not in made and set(self._links.get(name, {})) <= set(made)]
            if not ready:
                raise BrokenError("contract.json: links must lead from graph to graph and never back, got a circle")
            for name in ready:
                pairs = [
                    (input_, made[giver][output])
                    for giver, each in self._links.get(name, {}).items()
                    for input_, output in each.items()
                ]
                made[name] = self._inferred(name, {**whole, **dict(pairs)})
        return self._cut(made[MAIN], feeds)

    def _inferred(self, graph: str, feeds: Arrays) -> dict[str, np.ndarray]:
        session = self.sessions[graph]
        names = [value.name for value in session.get_outputs()]
        # Of several graphs each takes its own of what is fed.
        own = {value.name for value in session.get_inputs()} if len(self.sessions) > 1 else set(feeds)
        try:
            found = session.run(names, {name: array for name, array in feeds.items() if name in own})
        except Exception as error:  # the same
            raise InputError(f"the model must take what it is fed, got: {error}") from error
        return dict(zip(names, found, strict=True))

    def close(self) -> None:
        """Gives back the memory that the sessions have."""
        self.sessions.clear()

    def padded(self, feeds: Arrays) -> dict[str, np.ndarray]:
        """Feeds with zeros behind what they are, up to the sizes that axes were fixed at.

        Raises:
            InputError: One is longer.
        """
        found = dict(feeds)
        for name, axes in self._fixed.get("inputs", {}).items():
            lacking = [(0, 0)] * feeds[name].ndim
            for axis, called in axes.items():
                size, got = self._fixed["sizes"][called], feeds[name].shape[int(axis)]
                if got > size:
                    raise InputError(
                        f"axis {axis} of '{name}' must be at most {size}, got {got}: the model was fixed at it"
                    )
                lacking[int(axis)] = (0, size - got)
            found[name] = np.pad(feeds[name], lacking)
        return found

    def _cut(self, outputs: dict[str, np.ndarray], feeds: Arrays) -> dict[str, np.ndarray]:
        """Outputs without what stands for the padding."""
        real = {
            called: feeds[name].shape[int(axis)]
            for name, axes in self._fixed.get("inputs", {}).items()
            for axis, called in axes.items()
        }
        for name, axes in self._fixed.get("outputs", {}).items():
            cut = [slice(None)] * outputs[name].ndim
            for axis, called in axes.items():
                cut[int(axis)] = slice(real.get(called))
            outputs[name] = outputs[name][tuple(cut)]
        return outputs


def device(providers: Sequence[str] = ()) -> Device:
    """This device, with the providers that were asked for, or all that its runtime has of its own.

    Args:
        providers: Each a name, or `NAME:option=value,option=value`; among the options may be `sdk`, the version of the
            vendor's libraries, where the provider does not tell it.

    Raises:
        InputError: An option has no value.
        UnavailableError: The runtime lacks one that was asked for.
    """
    there, options = agent.built_in(onnxruntime), dict(map(_asked, providers))
    if lacking := [name for name in options if name not in there and not plugged(name)]:
        raise UnavailableError(f"provider must be one of {', '.join(there)}, got {lacking[0]}")
    chips = {}
    for name, given in options.items():
        told = agent.plugin_facts(name)["sdk"] if name not in there else None
        sdk = given.pop("sdk", "")
        if chip := given.get(CHIPS.get(name, "")):
            chips[name] = Chip(chip, told or sdk)
    wanted = list(options) or [name for name in there if name != ELSEWHERE]
    # A plugin is not asked for its nodes of a model in ORT's format.
    forms = ("onnx", "ort") if all(name in there for name in wanted) else ("onnx",)
    free = agent.conditions()["memory_free_bytes"]
    return Device(wanted, onnxruntime.__version__, platform.machine(), free, forms, chips, options)


def plugged(name: str) -> Sequence[Any]:
    """The runtime's devices of a provider that comes as a plugin; none where it is built in, or not here.

    Raises:
        UnavailableError: The plugin is here, and this runtime cannot load it.
    """
    if name in agent.built_in(onnxruntime):
        return ()
    try:
        return agent.register_plugin(onnxruntime, name)
    except agent.Refusal as refusal:
        raise UnavailableError(str(refusal)) from refusal


def _asked(text: str) -> tuple[str, dict[str, str]]:
    name, colon, rest = text.partition(":")
    pairs = [word.partition("=") for word in rest.split(",")] if colon else []
    if not all(left and right for left, _, right in pairs):
        raise InputError(f"provider must be NAME or NAME:option=value,…, got '{text}'")
    return name, {left: right for left, _, right in pairs}


def load(bundle: Bundle, variants: Sequence[Mapping[str, Any]], here: Device, threads: int) -> Model:
    """The model of some that a device takes; a provider that is there and does not start is passed over.

    Raises:
        UnavailableError: There is none for this device.
    """
    left, reasons = list(here.providers), list[str]()
    while found := select(variants, replace(here, providers=left)):
        try:
            return Model(bundle, *found, threads, here.options.get(found[1], {}))
        except UnavailableError as error:
            reasons.append(str(error))
            left.remove(found[1])
    names = ", ".join(each["name"] for each in variants)
    got = f"{names} for onnxruntime {here.runtime} on {here.architecture} with {', '.join(here.providers)}"
    raise UnavailableError("; ".join([f"a variant must fit this device, got none of {got}", *reasons]))


def running(
    bundle: Bundle, variants: Sequence[Mapping[str, Any]], here: Device, provider: str, threads: int
) -> Iterator[Model]:
    """Every model of some that a provider of the device can run."""
    for variant in variants:
        if fits(variant, here, provider):
            yield Model(bundle, variant, provider, threads, here.options.get(provider, {}))


def parts(variant: Mapping[str, Any]) -> dict[str, str]:
    """Every graph of a variant → its file; the one that gives the answer is the last."""
    return {**variant.get("graphs", {}), MAIN: variant["file"]}


@contextmanager
def sources(bundle: Bundle, variant: Mapping[str, Any]) -> Iterator[dict[str, str | bytes]]:
    """What sessions are made of: paths in a folder; of an archive the bytes, where every graph is one file."""
    own = parts(variant)
    if bundle.packed and len(variant["files"]) == len(own):
        yield {graph: bytes(bundle.view(name)) for graph, name in own.items()}
        return
    with unpacked(bundle, variant) as folder:
        yield {graph: str(folder / name) for graph, name in own.items()}


@contextmanager
def unpacked(bundle: Bundle, variant: Mapping[str, Any]) -> Iterator[Path]:
    """Where a variant's files lie: a folder of their own where the bundle is an archive."""
    if not bundle.packed:
        yield bundle.path
        return
    with tempfile.TemporaryDirectory() as place:
        for name in variant["files"]:
            (Path(place) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(place) / name).write_bytes(bundle.view(name))
        yield Path(place)


def array(said: Mapping[str, Any]) -> np.ndarray:
    """An array from its JSON form (export/PROTOCOL.md)."""
    import base64

    if said["dtype"] == "string":
        return np.asarray(said["data"], object).reshape(said["shape"])
    raw = base64.b64decode(said["data"], validate=True)
    return np.frombuffer(raw, np.dtype(said["dtype"]).newbyteorder("<")).astype(said["dtype"]).reshape(said["shape"])
