"""The measuring agent: runs one ONNX model in a process of its own and answers questions about it.

Self-contained on purpose: it imports the standard library, numpy and onnxruntime, and nothing of edgesft, so that any
interpreter on any machine that has those can run it as `python agent.py`.

Protocol, the same for an agent in any language: one JSON object a line on standard input, one JSON object a line as its
answer on standard output, which carries nothing else (what the runtime logs goes to standard error). Every request has
`op`; an answer that has `error` (a string) tells why it could not be done. Durations are integer nanoseconds of a
monotonic clock around the inference call alone. End of input ends the agent. An array is an object
`{"dtype": "int64", "shape": [1, 64], "data": base64 of its little-endian bytes in row-major order}`; text has dtype
`string` and a flat list as `data`. Feeds and outputs are objects from name to array.

op       request                                        answer
info     –                                              runtime, providers
load     model, providers [{name, options}], threads    load_ns, placement, partitions, inputs, outputs
request  feeds                                          count
first    –                                              ns
time     count, start, stride, window                   ns: a list
run      feeds                                          outputs
memory   –                                              peak_bytes, baseline_bytes
quit     –                                              {} and the process ends

`load` creates the session. The first provider is the one that is asked for: it is an error if the session does not
have it or no node was placed on it. `placement` maps a provider to its number of nodes (null where the runtime is too
old to tell), `partitions` counts the subgraphs on the asked provider. `request` appends one request to those that
`first` and `time` use. `first` times one inference of the middle one. `time` runs `count` inferences; the i-th one
takes request `(start + stride * (i mod window)) mod requests`. `memory` gives the most bytes that were resident in
this process, now and just before `load` (null where the system does not tell).
"""

from __future__ import annotations

import base64
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

CPU = "CPUExecutionProvider"

PLUGINS = {"QNNExecutionProvider": "onnxruntime_qnn"}
"""Providers that come as a plugin to the stock runtime, and the module that knows the plugin's library."""


class Refusal(Exception):
    """The request cannot be done; its text is the answer's `error`."""


def decode(array: Mapping[str, Any]) -> np.ndarray:
    """An array from its JSON form."""
    if array["dtype"] == "string":
        return np.array(array["data"], dtype=object).reshape(array["shape"])
    flat = np.frombuffer(bytearray(base64.b64decode(array["data"])), dtype=np.dtype(array["dtype"]).newbyteorder("<"))
    return flat.astype(np.dtype(array["dtype"]), copy=False).reshape(array["shape"])


def encode(array: Any) -> dict[str, Any]:
    """The JSON form of an array.

    Raises:
        Refusal: It is not an array (a sequence or a map, as classical models give).
    """
    if not isinstance(array, np.ndarray):
        raise Refusal(f"an output must be a tensor, got {type(array).__name__}")
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        return {"dtype": "string", "shape": shape, "data": [str(item) for item in array.ravel()]}
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return {"dtype": array.dtype.name, "shape": shape, "data": base64.b64encode(plain.tobytes()).decode("ascii")}


def peak_bytes() -> int | None:
    """The most bytes that were resident in this process since it began.

    Linux's `VmHWM` comes first: `ru_maxrss` survives exec there, so that a small process that a large one started
    reports its parent's peak. `ru_maxrss` is in bytes on macOS and in KiB elsewhere (getrusage manual pages).
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def runtime() -> Any:
    """The onnxruntime module.

    Raises:
        Refusal: This interpreter has none.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise Refusal(f"onnxruntime cannot be imported by {sys.executable}: {error}") from error
    return onnxruntime


def register_plugin(ort: Any, name: str) -> list[Any]:
    """Devices of a provider that comes as a plugin; empty where the plugin is not installed."""
    if name not in PLUGINS or not hasattr(ort, "register_execution_provider_library"):
        return []
    if not any(device.ep_name == name for device in ort.get_ep_devices()):
        try:
            module = __import__(PLUGINS[name])
        except ImportError:
            return []
        ort.register_execution_provider_library(name, module.get_library_path())
    return [device for device in ort.get_ep_devices() if device.ep_name == name]


def create_session(ort: Any, model: str, providers: list[dict[str, Any]], threads: int) -> Any:
    """A session that runs one operator at a time on `threads` threads and records where each node went."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    built_in = ort.get_available_providers()
    asked = providers[0]
    devices = [] if asked["name"] in built_in else register_plugin(ort, asked["name"])
    if devices:
        # One device names the plugin's provider; which unit it then runs on is for the provider's own options to say.
        options.add_provider_for_devices(devices[:1], asked["options"])
        return ort.InferenceSession(model, sess_options=options)
    if asked["name"] not in built_in:
        held = ", ".join(built_in)
        raise Refusal(f"provider {asked['name']} is not in this onnxruntime {ort.__version__}, which has {held}")
    usable = [(entry["name"], entry["options"]) for entry in providers if entry["name"] in built_in]
    return ort.InferenceSession(model, sess_options=options, providers=usable)


def placed(session: Any, asked: str) -> tuple[dict[str, int] | None, int | None]:
    """Nodes by provider, and the number of subgraphs on the asked one.

    Raises:
        Refusal: The session lacks the asked provider, or no node was placed on it.
    """
    if asked not in session.get_providers():
        held = ", ".join(session.get_providers())
        raise Refusal(f"{asked} did not start, or took no node (some need fixed shapes); the session is on {held}")
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None, None
    nodes: dict[str, int] = {}
    partitions = 0
    for subgraph in session.get_provider_graph_assignment_info():
        nodes[subgraph.ep_name] = nodes.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
        partitions += subgraph.ep_name == asked
    if nodes and asked not in nodes:
        raise Refusal(f"no node was placed on {asked}; all are on {', '.join(nodes)}")
    # The runtime reports each node on the CPU as a subgraph of its own, though they are one.
    return nodes, 1 if asked == CPU else partitions


class Agent:
    """State of one agent: at most one session and the requests that it cycles through."""

    def __init__(self) -> None:
        """An agent without a model."""
        self.session: Any = None
        self.requests: list[dict[str, np.ndarray]] = []
        self.baseline_bytes: int | None = None

    def info(self) -> dict[str, Any]:
        """The runtime's version and the providers that this interpreter can use."""
        ort = runtime()
        plugins = [name for name in PLUGINS if register_plugin(ort, name)]
        return {"runtime": ort.__version__, "providers": list(dict.fromkeys(ort.get_available_providers() + plugins))}

    def load(self, model: str, providers: list[dict[str, Any]], threads: int) -> dict[str, Any]:
        """Creates the session."""
        ort = runtime()
        if not os.path.isfile(model):
            raise Refusal(f"model must be a file, got {model}")
        self.baseline_bytes = peak_bytes()
        started = time.perf_counter_ns()
        session = create_session(ort, model, providers, threads)
        load_ns = time.perf_counter_ns() - started
        session.disable_fallback()
        placement, partitions = placed(session, providers[0]["name"])
        self.session = session
        return {
            "load_ns": load_ns,
            "placement": placement,
            "partitions": partitions,
            "inputs": [item.name for item in session.get_inputs()],
            "outputs": [item.name for item in session.get_outputs()],
        }

    def request(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a request to those that are timed."""
        self.requests.append({name: decode(array) for name, array in feeds.items()})
        return {"count": len(self.requests)}

    def first(self) -> dict[str, Any]:
        """Times one inference of the middle request."""
        return {"ns": self.time(1, len(self.requests) // 2, 1, 1)["ns"][0]}

    def time(self, count: int, start: int, stride: int, window: int) -> dict[str, Any]:
        """Times inferences one by one."""
        session = self._loaded()
        if not self.requests:
            raise Refusal("there is no request to time: send `request` first")
        held = len(self.requests)
        order = [self.requests[(start + stride * (index % window)) % held] for index in range(count)]
        clock, run = time.perf_counter_ns, session.run
        samples = []
        # A collection of this interpreter is no part of what the device does.
        gc.disable()
        try:
            for feeds in order:
                began = clock()
                run(None, feeds)
                samples.append(clock() - began)
        finally:
            gc.enable()
        return {"ns": samples}

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """One inference with its outputs."""
        session = self._loaded()
        outputs = session.run(None, {name: decode(array) for name, array in feeds.items()})
        names = [item.name for item in session.get_outputs()]
        return {"outputs": {name: encode(array) for name, array in zip(names, outputs, strict=True)}}

    def memory(self) -> dict[str, Any]:
        """Peak resident memory, and what it was before the model was loaded."""
        return {"peak_bytes": peak_bytes(), "baseline_bytes": self.baseline_bytes}

    def quit(self) -> dict[str, Any]:
        """Nothing to say; `serve` ends."""
        return {}

    def _loaded(self) -> Any:
        if self.session is None:
            raise Refusal("no model is loaded: send `load` first")
        return self.session


def answer(agent: Agent, line: str) -> tuple[dict[str, Any], bool]:
    """The answer to one line, and whether it was the last one."""
    operations: dict[str, Callable[..., dict[str, Any]]] = {
        "info": agent.info,
        "load": agent.load,
        "request": agent.request,
        "first": agent.first,
        "time": agent.time,
        "run": agent.run,
        "memory": agent.memory,
        "quit": agent.quit,
    }
    try:
        fields = json.loads(line)
        op = fields.pop("op")
        if op not in operations:
            raise Refusal(f"op must be one of {', '.join(operations)}, got {op!r}")
        return operations[op](**fields), op == "quit"
    except Refusal as refusal:
        return {"error": str(refusal)}, False
    except Exception as error:  # whatever the runtime throws must reach the other side as an answer
        return {"error": f"{type(error).__name__}: {error}"}, False


def serve() -> None:
    """Answers standard input until it ends or asks to quit."""
    # Libraries print to file descriptor 1 from C++: the protocol keeps the real one and they get standard error.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n") as out:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        agent, last = Agent(), False
        while not last and (line := sys.stdin.readline()):
            if line.strip():
                reply, last = answer(agent, line)
                out.write(json.dumps(reply) + "\n")
                out.flush()


if __name__ == "__main__":
    serve()
