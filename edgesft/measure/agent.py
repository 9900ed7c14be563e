"""The measuring agent: runs one ONNX model in a process of its own and answers questions about it.

Self-contained on purpose: it imports the standard library, numpy and onnxruntime, and nothing of edgesft, so that any
interpreter on any machine that has those can run it. `python agent.py` answers requests on standard input;
`python agent.py MODEL …` measures one model by itself and prints the same answers in the order they were got.

Protocol, the same for an agent in any language: one JSON object a line on standard input, one JSON object a line as its
answer on standard output, which carries nothing else (what the runtime logs goes to standard error). Every request has
`op`, which the answer repeats; an answer that has `error` (a string) tells why it could not be done. Durations are
integer nanoseconds of a monotonic clock. End of input ends the agent. An array is an object
`{"dtype": "int64", "shape": [1, 64], "data": base64 of its little-endian bytes in row-major order}`; text has dtype
`string` and a flat list as `data`. Feeds and outputs are objects from name to array. What a system does not tell is
null.

op        request                                          answer
info      –                                                protocol, runtime, build, providers, broken, plugins,
                                                           machine, runtime_bytes
state     –                                                load, temperature_mc, frequency_khz, throttles,
                                                           memory_free_bytes
evict     files                                            evicted
load      model, providers [{name, options}], threads,     load_ns, provider, threads, io, placement, partitions,
          optimisation, allow_cpu, config, nameless, io    left, simulated, fixed, inputs and outputs
                                                           [{name, dtype, shape}]
feedback  states                                           count, states
request   feeds                                            count
pipeline  file, folder, options                            –
row       row                                              count
first     –                                                ns
warm_up   seconds                                          samples, stable, typical_ns
time      count, picks                                    ns, energy_uj
paced     count, picks, interval_ns                       ns, service_ns, energy_uj
flight    count, picks, streams                           ns, wall_ns, how, energy_uj
spans     count, picks                                    ns, before_ns, inference_ns, after_ns, energy_uj
pipelined count, picks, streams, queue, interval_ns,      ns, steady_ns, dropped, late, wall_ns, loop_ns,
          deadline_ns                                     loop_wall_ns, energy_uj
run       feeds                                            outputs
profile   count                                            run_ns, nodes
instructions  how, count, folder                           counts, cpu
memory    –                                                peak_bytes, baseline_bytes
model     –                                                name, bytes, sha256
quit      –                                                – and the process ends

`broken` maps providers whose plugin is installed, and cannot be loaded, to the reason, and `plugins` those that can to
`package` (its name and version) and `sdk` (version of the vendor's libraries in it, or null). `evict` drops files from
the system's cache, so that the next `load` reads them from the disk, where the system lets it. `load` creates the
session in place of the one before; requests stay. The first provider is the one that is asked for: it is an error if
the session does not have it or no node was placed on it, unless `allow_cpu`. The answer repeats its name as `provider`,
and `threads`, so that answers alone tell what was measured. `placement` maps a provider to its number of nodes (null
where the runtime does not tell, or not all), `partitions` counts the subgraphs on the asked provider, `left` maps the
types of the operators that went elsewhere to their number. `simulated` says what stands in for the hardware: its
answers are the hardware's, its times are not; null where nothing does. `fixed` is what the model's metadata have under
`edgesft.fixed`: axes that were free before, to whose sizes requests are padded; else null. `optimisation` is `all`,
`extended`, `basic` or `disabled`, and `config` holds further session entries; `nameless` loads a model that is one file
from its bytes, for providers name what they compile after its path. `io` says what an inference is: with `host` it
begins with the inputs in the host's memory and ends with the outputs there; with `device` both lie in the provider's
own memory, and it ends when the device's work is over. All four may be left out. Where an option has the provider
capture its work as a graph, which it then repeats, inputs, outputs and states keep one place in the device's memory,
and what is copied to and from there counts as `io` says. `feedback` maps an input
to the output that becomes its value at the next inference; each series starts again from the request's own value.

`request` appends one request to those that are timed, `row` a raw row, which the pipeline makes a request of. `first`
times one inference of the middle request. `warm_up` runs until the median is steady, at most so many seconds. The
others make a series of `count` inferences; the i-th one takes the request whose number, from 0, is `picks[i mod
len(picks)]`. `time` makes them one after another, and each lasts from the call to the outputs. `paced` starts one every
`interval_ns`; `ns` counts from the moment it was due, `service_ns` from its start. `flight` keeps `streams` of them in
flight; `wall_ns` is the time of all together.

`spans` takes raw rows through the pipeline, one after another. `pipelined` does so with the steps overlapping, on a
thread before, one for each of `streams` sessions, and one after; at most `queue` rows wait for the first step. A row
arrives every `interval_ns`, and where the queue is full the oldest one in it is dropped; without an interval rows come
as fast as the queue takes them. A row that no session has taken `deadline_ns` after its arrival is given up as late.
Both may be left out. Rows before and behind, as many as there are places but at most `count` each, are not counted, so
that the `count` in between see what goes on for ever. `ns` has of each of those that was answered what passed from its
arrival to its answer, and `steady_ns` is the time in which so many answers came; `dropped` and `late` count the others.
`wall_ns` is the time of all together. `loop_ns` and `loop_wall_ns` are those of the same rows one after another, taken
just before; `energy_uj` is without them, and the share of the rows in `ns`.

`profile` makes `count` inferences on a second session under the runtime's own profiler; a node is `{name, op, provider,
calls, ns, inputs, outputs}` with all its calls added up, and inputs and outputs as `[type, shape]`. `instructions`
counts what the processor executes for each of `count` inferences of the middle request, in all threads of this process:
`how` is `perf` (the processor's own counter) or `callgrind` (the process runs under it, and it dumps to `folder`);
`cpu` is the processor that programs see, which Valgrind changes. `energy_uj` is what the processor's packages took
during the series, other programs and idling included. `memory` gives the most bytes that were resident in this process,
now and just before `load`.
"""

from __future__ import annotations

import argparse
import base64
import collections
import ctypes
import errno
import functools
import gc
import glob
import hashlib
import importlib.util
import itertools
import json
import math
import mmap
import os
import platform
import queue
import re
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np

PROTOCOL = 1
"""Version of the protocol: it grows when an answer changes its meaning."""

CPU = "CPUExecutionProvider"

PLUGINS = {
    "QNNExecutionProvider": "onnxruntime_qnn",
    "OpenVINOExecutionProvider": "onnxruntime_ep_openvino",
    "WebGpuExecutionProvider": "onnxruntime_ep_webgpu",
    "NvTensorRTRTXExecutionProvider": "onnxruntime_ep_nv_tensorrt_rtx",
}
"""Providers that come as a plugin to the stock runtime, and the module that knows the plugin's library. Some are also
built into runtimes of their own, which then go first."""

plugged: set[str] = set()
"""Providers whose plugin this process has registered."""

UNTOLD = ("WebGpuExecutionProvider",)
"""Providers whose nodes the runtime's record of assignments leaves out in part (onnxruntime-webgpu 1.27: 2 of 8 of a
convolutional net, none of a BERT's 169). Its profile tells them."""

SOFTWARE = ("libvk_swiftshader", "libvulkan_lvp", "libEGL_mesa_swrast")
"""Libraries that draw and compute on the CPU what a GPU's driver would (SwiftShader, Mesa's lavapipe)."""

FIXED = "edgesft.fixed"
"""Entry of a model's metadata that tells which of its axes were free before (`measure.model.fixed`)."""

MEMORIES = {
    CPU: "cpu",
    **dict.fromkeys(("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"), "cuda"),
    "DmlExecutionProvider": "dml",
    "CANNExecutionProvider": "cann",
    "MIGraphXExecutionProvider": "gpu",
}
"""Providers whose memory the runtime's values can lie in, and whose work can be waited for, and that memory's name
(onnxruntime's `OrtDevice.make`). WebGPU's cannot be waited for (`Flush` in its `OnRunEnd`, and no `Sync`)."""

GRAPHS = {
    **dict.fromkeys(("CUDAExecutionProvider", "NvTensorRTRTXExecutionProvider"), "enable_cuda_graph"),
    "TensorrtExecutionProvider": "trt_cuda_graph_enable",
    "WebGpuExecutionProvider": "enableGraphCapture",
}
"""Providers that can capture their work as a graph, and the option that has them do so."""

CAPTURING = ("NvTensorRTRTXExecutionProvider",)
"""Those that do so unless told not to (NVIDIA's `provider_options.h`); here nothing does unless it is asked."""

NO_CAPTURE = "graph capture feature"
"""Words of the runtime's refusal to capture (`InferenceSession::Initialize`)."""

PRELOADED = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
"""Providers whose libraries may lie in packages of their own, where the loader does not look."""

CHIPS = {"QNNExecutionProvider": "57 is Snapdragon 8 Gen 3, 69 8 Elite, 43 8 Gen 2 (Qualcomm's table, in ExecuTorch)"}
"""Providers whose simulator must be told the chip: answers follow it, and without one transformers do not compile."""

THREADS = {"OpenVINOExecutionProvider": "num_of_threads", "XnnpackExecutionProvider": "intra_op_num_threads"}
"""Providers that do not go by the session's threads, and their own option; it is set unless the request sets it."""

INSTRUCTIONS = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx_vnni_int8"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Instruction sets that decide how fast a model runs, as Linux names them in /proc/cpuinfo."""

RUNTIMES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-webgpu"),
    *("onnxruntime-directml", "onnxruntime-qnn", "onnxruntime-silicon"),
)
"""Distributions that install the onnxruntime module."""

OPTIMISATIONS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}

TYPES = {"float": "float32", "double": "float64"}
"""The runtime's names of element types that are not numpy's."""

PROBE = 3
"""Inferences that give the first idea of how long one takes."""

WARMUP_BLOCKS = 20
"""Blocks that the longest warm-up is cut into."""

STABLE_BLOCKS = 3
"""The warm-up ends when the medians of this many successive blocks agree."""

STABLE_SHARE = 0.02
"""Medians agree when the highest is within this share of the lowest."""

SPIN_NS = 100_000
"""Before an inference is due the agent sleeps, but for this last bit: threads wake late by about so much."""

SWITCH_SECONDS = 1e-5
"""A thread whose inference is done may wait so long for the interpreter while another has it; Python's own is 5 ms."""

HOST = "EDGESFT_HOST"
"""Environment variable with the process id of what started the agent."""

PROFILE_LEAD_IN = 3
"""Inferences under the profiler that are left out: the first ones allocate."""

EMPTY = 5
"""Countings of nothing; their median is what counting itself takes, about ten thousand instructions of Python."""

PERF_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319, "s390x": 331}
"""Number of the system call perf_event_open on each architecture (Linux's tables)."""

PERF_INSTRUCTIONS = (0, 1)
"""PERF_TYPE_HARDWARE and PERF_COUNT_HW_INSTRUCTIONS (linux/perf_event.h)."""

PERF_REASONS = {
    **dict.fromkeys((errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV), "this machine, perhaps a virtual one, shows none"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM),
        "not permitted: /proc/sys/kernel/perf_event_paranoid must be at most 2, and a container must allow "
        "perf_event_open",
    ),
}
"""What the usual errors of opening a counter mean."""

CLIENT_REQUEST = {
    "x86_64": "4889fa 4889f0 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3",
    "aarch64": "e30300aa e40301aa 8c0dcc93 8c35cc93 8ccdcc93 8cf5cc93 4a010aaa e00303aa c0035fd6",
}
"""A function of a default and the address of six words, which asks Valgrind (VALGRIND_DO_CLIENT_REQUEST_EXPR in its
valgrind.h): rotations that together do nothing, which it takes for a sign. Without Valgrind it returns the default."""

CPUID = "53 89f8 89f1 4989d0 0fa2 418900 41895804 41894808 4189500c 5b c3"
"""An x86-64 function of a leaf, a subleaf and the address of four words for eax, ebx, ecx and edx."""

DUMP_STATS, ZERO_STATS, START_INSTRUMENTATION = (0x43540000 + number for number in (0, 1, 4))
"""Requests that callgrind.h numbers from the letters `CT` on."""

CPU_BITS = {
    "fma": (1, 0, 2, 12),
    "f16c": (1, 0, 2, 29),
    "avx2": (7, 0, 1, 5),
    "avx512f": (7, 0, 1, 16),
    "avx512_vnni": (7, 0, 2, 11),
    "amx_int8": (7, 0, 3, 25),
    "avx_vnni": (7, 1, 0, 4),
}
"""Instruction set → leaf, subleaf, register and bit of CPUID (Intel's manual, volume 2, CPUID)."""


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


# The machine ----------------------------------------------------------------------------------------------------------


def machine(root: str | os.PathLike[str] = "/") -> dict[str, Any]:
    """JSON values that identify this machine; None where the system does not tell.

    Args:
        root: Where the system's `proc` and `sys` lie.
    """
    facts = _cpuinfo(root)
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return {
        "architecture": platform.machine(),
        "system": platform.system(),
        "model": facts.get("model name") or facts.get("Model") or platform.processor() or None,
        "board": _text(root, "proc/device-tree/model") or _text(root, "sys/class/dmi/id/product_name"),
        "cores": _cores(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "governor": _text(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_bytes": _memory_bytes(root),
        "cache_bytes": _cache_bytes(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "onnxruntime": _distribution(),
    }


def conditions(root: str | os.PathLike[str] = "/") -> dict[str, Any]:
    """What may slow this machine just now: load average, hottest sensor, fastest core's clock, throttling so far."""
    zones = _numbers(root, "sys/class/thermal/thermal_zone*/temp")
    clocks = _numbers(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    throttles = _numbers(root, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    load = (_text(root, "proc/loadavg") or "").split()
    return {
        "load": float(load[0]) if load else None,
        "temperature_mc": max(zones, default=None),
        "frequency_khz": max(clocks, default=None),
        "throttles": sum(throttles) if throttles else None,
        "memory_free_bytes": _memory_bytes(root, "MemAvailable"),
    }


def simulation(provider: str, root: str | os.PathLike[str] = "/") -> str | None:
    """What stands in for a provider's hardware in this process, after the session was made; None where nothing does.

    Its answers are the hardware's, or nearly; its times say nothing.
    """
    loaded = _text(root, "proc/thread-self/maps") or ""
    # An emulator of a processor shows programs the files of the one that it emulates, but not through this path.
    if emulator := re.search(r"/(qemu-[\w-]+)", loaded):
        return f"{emulator[1]}, which emulates {platform.machine()}"
    if provider == "QNNExecutionProvider" and platform.machine().lower() in ("x86_64", "amd64"):
        return "the simulator of the HTP that onnxruntime-qnn brings for x86-64"
    found = next((name for name in SOFTWARE if name in loaded), None)
    if provider in UNTOLD and found:
        return f"software in place of a GPU ({found})"
    return None


def energy_counters(root: str | os.PathLike[str] = "/") -> list[tuple[int, int]] | None:
    """Microjoules that each processor package has taken, and where its counter starts again; None where unreadable.

    Linux's power capping interface over Intel's and AMD's RAPL (kernel documentation, power/powercap). The counters
    that a zone contains (cores, memory) are parts of it.
    """
    found = []
    for zone in sorted(glob.glob(os.path.join(root, "sys/class/powercap/intel-rapl:[0-9]*"))):
        if (_text(zone, "name") or "").startswith("package"):
            used, limit = _text(zone, "energy_uj"), _text(zone, "max_energy_range_uj")
            if used is None or limit is None:
                return None
            found.append((int(used), int(limit)))
    return found or None


def energy_between(before: list[tuple[int, int]] | None, after: list[tuple[int, int]] | None) -> int | None:
    """Microjoules between two readings, each counter having started again at most once."""
    if before is None or after is None:
        return None
    return sum((new - old) % (limit + 1) for (old, limit), (new, _) in zip(before, after, strict=True))


def peak_bytes() -> int | None:
    """The most bytes that were resident in this process since it began.

    Linux's `VmHWM` comes first: `ru_maxrss` survives exec there, so that a small process that a large one started
    reports its parent's peak. `ru_maxrss` is in bytes on macOS and in KiB elsewhere (getrusage manual pages).
    """
    for line in (_text("/", "proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _text(root: str | os.PathLike[str], name: str) -> str | None:
    try:
        with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
            # Device-tree strings end in a zero byte.
            return file.read().strip("\0\n ") or None
    except OSError:
        return None


def _numbers(root: str | os.PathLike[str], pattern: str) -> list[int]:
    texts = [_text("/", path) for path in glob.glob(os.path.join(os.path.abspath(root), pattern))]
    return [int(text) for text in texts if text and text.lstrip("-").isdigit()]


def _cpuinfo(root: str | os.PathLike[str]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for line in (_text(root, "proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            facts.setdefault(name.strip(), value.strip())
    return facts


def _memory_bytes(root: str | os.PathLike[str], name: str = "MemTotal") -> int | None:
    for line in (_text(root, "proc/meminfo") or "").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _cache_bytes(root: str | os.PathLike[str]) -> int | None:
    """The largest cache of the first core."""
    folders = glob.glob(os.path.join(root, "sys/devices/system/cpu/cpu0/cache/index[0-9]*"))
    sizes = [_text(folder, "size") or "" for folder in folders]
    return max((int(size[:-1]) * 1024 for size in sizes if size[:-1].isdigit() and size[-1] == "K"), default=None)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _distribution() -> str | None:
    for name in RUNTIMES:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return None


# The session ----------------------------------------------------------------------------------------------------------


def runtime() -> Any:
    """The onnxruntime module.

    Raises:
        Refusal: This interpreter has none.
    """
    # Otherwise the runtime reports the model's name and hashes to its maker, for which it keeps files in the user's
    # folders and a thread beside what is measured (Privacy.md in onnxruntime 1.29 and later).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise Refusal(f"onnxruntime cannot be imported by {sys.executable}: {error}") from error
    return onnxruntime


def built_in(ort: Any) -> list[str]:
    """Providers that the runtime has without a plugin."""
    return [name for name in ort.get_available_providers() if name not in plugged]


def register_plugin(ort: Any, name: str) -> list[Any]:
    """Devices of a provider that comes as a plugin; empty where the plugin is not installed.

    Raises:
        Refusal: The plugin is here, and this runtime cannot load it.
    """
    if name not in PLUGINS or not hasattr(ort, "register_execution_provider_library"):
        return []
    if not any(device.ep_name == name for device in ort.get_ep_devices()):
        try:
            module = __import__(PLUGINS[name])
        except ImportError:
            return []
        try:
            ort.register_execution_provider_library(name, module.get_library_path())
            plugged.add(name)
        except Exception as error:  # the runtime's own kinds
            version = metadata.version(PLUGINS[name].replace("_", "-"))
            raise Refusal(
                f"{PLUGINS[name]} {version} must be a plugin that onnxruntime {ort.__version__} loads, got: {error}"
            ) from error
    return [device for device in ort.get_ep_devices() if device.ep_name == name]


def plugin_facts(name: str) -> dict[str, Any]:
    """Which plugin a provider comes in, and the version of the vendor's libraries in it where it tells."""
    module = __import__(PLUGINS[name])
    package = PLUGINS[name].replace("_", "-")
    told = getattr(module, "build_and_package_info", None)
    return {"package": f"{package} {metadata.version(package)}", "sdk": getattr(told, "qnn_version", None)}


def session_options(
    model: str, threads: int, optimisation: str = "all", config: Mapping[str, str] | None = None
) -> Any:
    """Options of a session that runs one operator at a time on `threads` threads and records where each node went."""
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, OPTIMISATIONS[optimisation])
    entries = {"session.record_ep_graph_assignment_info": "1", **(config or {})}
    with open(model, "rb") as file:
        # The runtime goes by the file's ending; the format's own mark is surer (onnxruntime's ort.fbs).
        if file.read(8)[4:] == b"ORTM":
            entries["session.load_model_format"] = "ORT"
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return options


def _bytes(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


def create_session(model: str | bytes, providers: list[dict[str, Any]], options: Any) -> Any:
    """A session on the first of the providers, with the others of them that are here behind it."""
    ort = runtime()
    asked = providers[0]
    # Once a plugin is registered, the runtime lists its provider among those that it has, and makes no session of it.
    devices = [] if asked["name"] in built_in(ort) else register_plugin(ort, asked["name"])
    if devices:
        if asked["name"] in CHIPS and simulation(asked["name"]) and "soc_model" not in asked["options"]:
            chips = CHIPS[asked["name"]]
            raise Refusal(f"option soc_model of {asked['name']} must be given where its NPU is simulated: {chips}")
        given = {GRAPHS[asked["name"]]: "0"} if asked["name"] in CAPTURING else {}
        # One device names the plugin's provider; which unit it then runs on is for the provider's own options to say.
        options.add_provider_for_devices(devices[:1], given | asked["options"])
        return ort.InferenceSession(model, sess_options=options)
    held = built_in(ort)
    if asked["name"] not in held:
        raise Refusal(
            f"provider {asked['name']} is not in this onnxruntime {ort.__version__}, which has {', '.join(held)}"
        )
    if asked["name"] in PRELOADED and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    threads = options.intra_op_num_threads
    usable = [
        (entry["name"], ({THREADS[entry["name"]]: str(threads)} if entry["name"] in THREADS else {}) | entry["options"])
        for entry in providers
        if entry["name"] in held
    ]
    return ort.InferenceSession(model, sess_options=options, providers=usable)


def placed(session: Any, asked: str, *, allow_cpu: bool = False) -> dict[str, Any]:
    """`placement`, `partitions` and `left` of a session, from its own record of what each provider took.

    Raises:
        Refusal: The session lacks the asked provider, or no node was placed on it, and that is not allowed.
    """
    held = session.get_providers()
    if asked not in held and not allow_cpu:
        raise Refusal(
            f"{asked} did not start, or took no node (some need fixed shapes); the session is on {', '.join(held)}"
        )
    if not hasattr(session, "get_provider_graph_assignment_info") or asked in UNTOLD:
        return {"placement": None, "partitions": None, "left": None}
    nodes: dict[str, int] = {}
    left: dict[str, int] = {}
    partitions = 0
    for subgraph in session.get_provider_graph_assignment_info():
        taken = subgraph.get_nodes()
        nodes[subgraph.ep_name] = nodes.get(subgraph.ep_name, 0) + len(taken)
        partitions += subgraph.ep_name == asked
        if subgraph.ep_name != asked:
            for node in taken:
                left[node.op_type] = left.get(node.op_type, 0) + 1
    if not nodes:  # nothing is recorded of files that were optimised before
        return {"placement": None, "partitions": None, "left": None}
    if asked not in nodes and not allow_cpu:
        raise Refusal(f"no node was placed on {asked}; all are on {', '.join(nodes)}")
    # The runtime reports each node on the CPU as a subgraph of its own, though they are one.
    return {"placement": nodes, "partitions": min(partitions, 1) if asked == CPU else partitions, "left": left}


def described(values: Any) -> list[dict[str, Any]]:
    """Name, numpy's type and axes of a session's inputs or outputs."""
    found = []
    for value in values:
        kind = value.type.removeprefix("tensor(").removesuffix(")")
        found.append({"name": value.name, "dtype": TYPES.get(kind, kind), "shape": list(value.shape)})
    return found


Memory = tuple[str, int]
"""Name and number of a memory, as the runtime's values take them."""

HOST_MEMORY: Memory = ("cpu", 0)


def memory_of(provider: Mapping[str, Any]) -> Memory:
    """The memory that a provider computes in.

    Raises:
        Refusal: It offers none, or none whose work can be waited for.
    """
    name = provider["name"]
    if name not in MEMORIES:
        raise Refusal(
            f"{name} offers no memory that inputs and outputs can stay in, or does not tell when its work is over: io "
            f"must be host, and no graph captured; those that do are {', '.join(MEMORIES)}"
        )
    return MEMORIES[name], int(provider.get("options", {}).get("device_id", 0))


def captures(provider: Mapping[str, Any]) -> str | None:
    """The option that has the provider capture its work as a graph; None where that is not asked for."""
    option = GRAPHS.get(provider["name"], "")
    return option if str(provider.get("options", {}).get(option)).lower() in ("1", "true") else None


def uncaptured(error: Exception, provider: Mapping[str, Any]) -> Refusal:
    """Why a graph cannot be captured, from the runtime's words."""
    flow = "control flow" in str(error)
    why = "it has control flow (If, Loop, Scan)" if flow else "some of its nodes are left to other providers"
    return Refusal(
        f"{provider['name']} cannot capture this model as a graph: {why}; without {captures(provider)} it can be "
        f"measured, which tells the nodes; the runtime says: {error}"
    )


class Slot:
    """A binding that keeps what is bound from one inference to the next, its outputs' memory included."""

    def __init__(self, session: Any, memory: Memory = HOST_MEMORY) -> None:
        """A binding with nothing bound, whose outputs will lie in this memory."""
        self.binding, self.memory = session.io_binding(), memory
        # The size of an output that is not fixed may depend on the data, as that of NonMaxSuppression does.
        self.fixed = all(isinstance(axis, int) for item in session.get_outputs() for axis in item.shape)
        self.feeds: Mapping[str, np.ndarray] | None = None
        self.states: Mapping[str, Any] | None = None
        self.shapes: list[Any] = []
        self.kept: Mapping[str, Any] | None = None

    def bind(self, feeds: Mapping[str, np.ndarray], states: Mapping[str, Any], outputs: list[str]) -> None:
        """Binds what is not the same object as before; the runtime copies it to where it is needed."""
        if feeds is not self.feeds:
            for name, array in feeds.items():
                if name not in states:
                    self.binding.bind_cpu_input(name, array)
        if states is not self.states:
            for name, value in states.items():
                self.binding.bind_ortvalue_input(name, value)
        if feeds is not self.feeds or states is not self.states or not self.fixed:
            shapes = [array.shape for array in feeds.values()] + [value.shape() for value in states.values()]
            if shapes != self.shapes or not self.fixed:
                # Memory of other sizes would be refused.
                self.binding.clear_binding_outputs()
                for name in outputs:
                    self.binding.bind_output(name, *self.memory)
                self.shapes, self.kept = shapes, None
        self.feeds, self.states = feeds, states

    def carried(self, outputs: list[str], feedback: Mapping[str, str]) -> Mapping[str, Any]:
        """Values of the states after an inference: the same objects as long as the outputs keep their memory."""
        if self.kept is None:
            values = dict(zip(outputs, self.binding.get_outputs(), strict=True))
            for name, value in values.items():
                self.binding.bind_ortvalue_output(name, value)
            self.kept = {name: values[output] for name, output in feedback.items()}
        return self.kept


class Caller:
    """Makes inferences one after another on a session, feeding states back."""

    def __init__(self, session: Any, feedback: Mapping[str, str], asked: str, memory: Memory | None = None) -> None:
        """A caller whose states are those of its first request.

        Args:
            session: Of the model.
            feedback: Input → output that becomes its value.
            asked: The provider.
            memory: The device's, where inputs lie before the clock starts and outputs when it stops; by default the
                host's.
        """
        self.session, self.feedback = session, feedback
        self.outputs = [item.name for item in session.get_outputs()]
        self.states: Mapping[str, Any] = {}
        self.stays = memory is not None
        # Binding is where the runtime copies inputs to another memory, which the device must do, too.
        self.copies = asked != CPU and not self.stays
        # The runtime cannot bind text.
        self.bindable = all(item.type != "tensor(string)" for item in session.get_inputs())
        if self.stays and not self.bindable:
            raise Refusal("io must be host for a model that takes text: only numbers lie in a device's memory")
        # With states, what one inference writes the next one reads, and each writes to memory of its own.
        count = (2 if feedback else 1) if self.bindable else 0
        self.slots = [Slot(session, memory or HOST_MEMORY) for _ in range(count)]

    def __call__(self, feeds: Mapping[str, np.ndarray], clock: Callable[[], int]) -> tuple[int, int]:
        """One inference: when it began and when its outputs were there."""
        if not self.bindable:
            began = clock()
            found = self.session.run(self.outputs, {**feeds, **self.states})
            ended = clock()
            values = dict(zip(self.outputs, found, strict=True))
            self.states = {name: values[output] for name, output in self.feedback.items()}
            return began, ended
        slot = self.slots[0]
        if self.copies:
            slot.feeds = None
            began = clock()
            slot.bind(feeds, self.states, self.outputs)
        else:
            slot.bind(feeds, self.states, self.outputs)
            if self.stays:
                slot.binding.synchronize_inputs()
            began = clock()
        self.session.run_with_iobinding(slot.binding)
        if self.stays:
            # CUDA's streams are waited for by the run itself; DirectML's queue is not.
            slot.binding.synchronize_outputs()
        ended = clock()
        if self.feedback:
            self.states = slot.carried(self.outputs, self.feedback)
            self.slots.reverse()
        return began, ended


class Captured:
    """The one place of a session's inputs and outputs in a device's memory: its graph reads and writes nothing else.

    It lives as long as the session, for a graph that is repeated goes on with the addresses that it was captured with.
    """

    def __init__(self, session: Any, memory: Memory, option: str) -> None:
        """Takes the memory and binds it; the first run captures.

        Raises:
            Refusal: Shapes are not fixed, values are no numbers, or this runtime has not that memory.
        """
        self.session, self.option, self.binding = session, option, session.io_binding()
        self.inputs, self.outputs = (
            {item["name"]: self._place(item, memory) for item in described(values)}
            for values in (session.get_inputs(), session.get_outputs())
        )
        for name, value in self.inputs.items():
            self.binding.bind_ortvalue_input(name, value)
        for name, value in self.outputs.items():
            self.binding.bind_ortvalue_output(name, value)

    def fill(self, feeds: Mapping[str, np.ndarray], states: Mapping[str, str]) -> None:
        """Copies a request to the device, but for the states that lie there already."""
        for name, value in self.inputs.items():
            if name in states:
                continue
            if name not in feeds or list(feeds[name].shape) != list(value.shape()):
                got = list(feeds[name].shape) if name in feeds else "nothing"
                raise Refusal(f"'{name}' must have the shape {list(value.shape())} that the graph takes, got {got}")
            value.update_inplace(np.ascontiguousarray(feeds[name]))
        self.binding.synchronize_inputs()

    def run(self) -> None:
        """Captures the graph the first time, and repeats it from then on.

        Raises:
            Refusal: It cannot be captured.
        """
        try:
            self.session.run_with_iobinding(self.binding)
        except Exception as error:  # the runtime's own kinds
            raise Refusal(f"the graph that {self.option} asks for cannot be captured or repeated: {error}") from error
        self.binding.synchronize_outputs()

    def answers(self) -> dict[str, np.ndarray]:
        """The outputs, copied to the host."""
        return dict(zip(self.outputs, self.binding.copy_outputs_to_cpu(), strict=True))

    def carry(self, feedback: Mapping[str, str]) -> None:
        """Copies states within the device from where they were written to where they are read."""
        for name, output in feedback.items():
            self.inputs[name].update_inplace(self.outputs[output])
        if feedback:
            self.binding.synchronize_inputs()

    def _place(self, item: Mapping[str, Any], memory: Memory) -> Any:
        name, shape = item["name"], item["shape"]
        if free := [str(axis or "without a name") for axis in shape if not isinstance(axis, int)]:
            raise Refusal(
                f"shapes must be fixed where a graph is captured ({self.option}), got the free axes {', '.join(free)} "
                f"of '{name}': rows of several lengths cannot be captured; fix them, or leave {self.option} out"
            )
        try:
            element = np.dtype(item["dtype"]).type
            return runtime().OrtValue.ortvalue_from_shape_and_type(shape, element, *memory)
        except Exception as error:  # numpy's and the runtime's own kinds
            message = f"'{name}' must be numbers in the memory of {memory[0]} {memory[1]}, got {item['dtype']}: {error}"
            raise Refusal(message) from error


class Repeater:
    """Makes inferences one after another by a captured graph, feeding states back."""

    def __init__(self, captured: Captured, feedback: Mapping[str, str], *, stays: bool) -> None:
        """One whose states are those of its first request.

        Args:
            captured: The graph's memory.
            feedback: Input → output that becomes its value.
            stays: Whether what is copied from and to the host is left out of the time.
        """
        self.captured, self.feedback, self.stays = captured, feedback, stays
        self.states: Mapping[str, str] = {}

    def __call__(self, feeds: Mapping[str, np.ndarray], clock: Callable[[], int]) -> tuple[int, int]:
        """One inference: when it began and when its outputs were there; carrying states on is part of it."""
        if self.stays:
            self.captured.fill(feeds, self.states)
            began = clock()
        else:
            began = clock()
            self.captured.fill(feeds, self.states)
        self.captured.run()
        self.captured.carry(self.feedback)
        if not self.stays:
            self.captured.answers()
        ended = clock()
        self.states = self.feedback
        return began, ended


# Instructions ---------------------------------------------------------------------------------------------------------


def machine_code(code: str) -> Callable[..., int]:
    """A function of this machine code; it takes and returns words.

    Raises:
        Refusal: The system does not let a program make code.
    """
    try:
        memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError as error:
        raise Refusal(f"this system does not let a program make code: {error}") from error
    memory.write(bytes.fromhex(code))
    function = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 3)(
        ctypes.addressof(ctypes.c_char.from_buffer(memory))
    )
    function.memory = memory  # type: ignore[attr-defined]  # or it would be unmapped
    return function


def visible_cpu() -> str:
    """The processor as programs see it, with the instruction sets that the runtime's kernels are chosen by.

    It is asked for itself: under Valgrind, /proc/cpuinfo still tells of the real one.
    """
    if platform.machine() != "x86_64":
        features = ctypes.CDLL(None).getauxval(16) if sys.platform == "linux" else 0  # AT_HWCAP (elf.h)
        return f"{machine()['model'] or platform.machine()} (features {features & 0xFFFFFFFF:#x})"
    call = machine_code(CPUID)

    def registers(leaf: int, subleaf: int = 0) -> tuple[int, ...]:
        words = (ctypes.c_uint32 * 4)()
        call(leaf, subleaf, ctypes.addressof(words))
        return tuple(words)

    name = b"".join(struct.pack("<4I", *registers(0x80000002 + part)) for part in range(3)).rstrip(b"\0 ").decode()
    has = [flag for flag, (leaf, sub, register, bit) in CPU_BITS.items() if registers(leaf, sub)[register] >> bit & 1]
    return f"{name.strip()} ({' '.join(has)})"


class Perf:
    """Linux's counter of the instructions that this process executes outside the kernel (man 2 perf_event_open)."""

    def __init__(self, event: tuple[int, int] = PERF_INSTRUCTIONS) -> None:
        """Opens a counter for each thread there is; those that they start are counted with them.

        Raises:
            Refusal: The system, the processor or the rights do not allow it.
        """
        number = PERF_OPEN.get(platform.machine())
        if sys.platform != "linux" or number is None:
            raise Refusal(f"{platform.system()} on {platform.machine()} has no perf events that are known here")
        # Size 64 is the first version's; the flags are inherit, exclude_kernel and exclude_hv; read_format 3 adds for
        # how long the counter was wanted and for how long it ran.
        flags = 1 << 1 | 1 << 5 | 1 << 6
        self.attributes = struct.pack("<IIQQQQQIIQ", event[0], 64, event[1], 0, 0, 3, flags, 0, 0, 0)
        self.found: list[int] = []
        self.files: list[int] = []
        library = ctypes.CDLL(None, use_errno=True)
        for thread in os.listdir("/proc/self/task"):
            # 8 is PERF_FLAG_FD_CLOEXEC; a thread may have ended meanwhile.
            file = library.syscall(number, self.attributes, int(thread), -1, -1, ctypes.c_ulong(8))
            if file < 0 and (code := ctypes.get_errno()) != errno.ESRCH:
                self.close()
                raise Refusal(PERF_REASONS.get(code) or f"the counter cannot be opened: {os.strerror(code)}")
            self.files += [file] if file >= 0 else []

    def close(self) -> None:
        """Gives the counters back."""
        for file in self.files:
            os.close(file)
        self.files = []

    def region(self, action: Callable[[], object]) -> None:
        """Counts what this does."""
        before = self._total()
        action()
        self.found.append(self._total() - before)

    def counts(self) -> list[int]:
        """Counts of the regions so far.

        Raises:
            Refusal: The counter did not run all the time, or not at all.
        """
        read = [struct.unpack("<QQQ", os.read(file, 24)) for file in self.files]
        if any(ran < wanted for _, wanted, ran in read) or not any(self.found):
            raise Refusal("the counter did not run all the time: it is shared, or the cores differ, or it is not real")
        return self.found

    def _total(self) -> int:
        return sum(int.from_bytes(os.read(file, 24)[:8], sys.byteorder) for file in self.files)


class Callgrind:
    """Valgrind's callgrind, under which this process runs; it counts in all threads, and never the kernel."""

    def __init__(self, folder: str) -> None:
        """Starts counting.

        Args:
            folder: Where it dumps to, `callgrind.out.<process>` followed by a dot and a number.

        Raises:
            Refusal: This process does not run under it.
        """
        code = CLIENT_REQUEST.get(platform.machine())
        if code is None:
            raise Refusal(f"Valgrind cannot be asked on {platform.machine()}, only on {', '.join(CLIENT_REQUEST)}")
        # What is made here and now must not run on a real ARM: its caches would have to be told first.
        if "vgpreload" not in (_text("/", "proc/self/maps") or ""):
            raise Refusal("this process does not run under Valgrind")
        self.call, self.words = machine_code(code), (ctypes.c_uint64 * 6)()
        self.dumps = os.path.join(folder, f"callgrind.out.{os.getpid()}.")
        self._ask(START_INSTRUMENTATION)
        self.before = set(glob.glob(glob.escape(self.dumps) + "*"))

    def close(self) -> None:
        """Nothing is held."""

    def region(self, action: Callable[[], object]) -> None:
        """Counts what this does."""
        self._ask(ZERO_STATS)
        action()
        self._ask(DUMP_STATS)

    def counts(self) -> list[int]:
        """Counts of the regions so far.

        Raises:
            Refusal: A dump is not there or has no total.
        """
        files = sorted(set(glob.glob(glob.escape(self.dumps) + "*")) - self.before, key=lambda name: (len(name), name))
        found = []
        for path in files:
            with open(path, encoding="utf-8", errors="replace") as file:
                total = re.search(r"^(?:totals|summary): (\d+)", file.read(), re.MULTILINE)
            if total is None:
                raise Refusal(f"callgrind's dump must have a total, got none in {path}")
            found.append(int(total[1]))
        return found

    def _ask(self, request: int) -> None:
        self.words[0] = request
        self.call(0, ctypes.addressof(self.words), 0)


# The agent ------------------------------------------------------------------------------------------------------------


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without this interpreter's collector, and with threads that take turns quickly: neither is the device's doing."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(interval)


class Line:
    """Rows between threads, at most `size` of them; it ends when each of its writers has left and it is empty."""

    def __init__(self, size: int, writers: int = 1) -> None:
        """An empty one."""
        self.size, self.writers = size, writers
        self.items: collections.deque[Any] = collections.deque()
        self.changed = threading.Condition()

    def put(self, item: Any, wait: bool = True) -> Any:
        """Appends a row once there is room; not to wait for it drops the oldest row, which is returned."""
        with self.changed:
            if wait:
                self.changed.wait_for(lambda: len(self.items) < self.size)
            dropped = self.items.popleft() if len(self.items) >= self.size else None
            self.items.append(item)
            self.changed.notify_all()
        return dropped

    def leave(self) -> None:
        """One writer less."""
        with self.changed:
            self.writers -= 1
            self.changed.notify_all()

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.items or not self.writers)
                if not self.items:
                    return
                item = self.items.popleft()
                self.changed.notify_all()
            yield item


class Fates:
    """What became of rows whose steps overlap, by their number; those below zero only led in."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.arrived: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self.dropped: list[int] = []
        self.late: list[int] = []

    def told(self, count: int) -> dict[str, Any]:
        """The answer's fields on the rows from zero on, `count` of them; what came after only followed."""
        answered = [number for number in range(count) if number in self.ended]
        led = sum(number < 0 for number in self.ended)
        # Sessions overtake each other: from one answer to another so many lie, whichever they are.
        ends = sorted(self.ended.values())
        since = ends[led - 1] if led else self.arrived[0]
        return {
            "ns": [self.ended[number] - self.arrived[number] for number in answered],
            "steady_ns": ends[led + len(answered) - 1] - since if answered else 0,
            "dropped": sum(0 <= number < count for number in self.dropped),
            "late": sum(0 <= number < count for number in self.late),
        }


class Agent:
    """State of one agent: at most one session and the requests that it cycles through."""

    def __init__(
        self,
        create: Callable[[Any, list[dict[str, Any]], Any], Any] = create_session,
        clock: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """An agent without a model.

        Args:
            create: Makes a session of a model, providers and session options.
            clock: Nanoseconds, never going back.
            sleep: Waits for some seconds.
        """
        self.create, self.clock, self.sleep = create, clock, sleep
        self.session: Any = None
        self.origin: dict[str, Any] = {}
        self.states: dict[str, str] = {}
        self.requests: list[dict[str, np.ndarray]] = []
        self.rows: list[Any] = []
        self.steps: Any = None
        self.others: list[Any] = []
        self.captured: dict[Any, Captured] = {}
        self.baseline_bytes: int | None = None

    def info(self) -> dict[str, Any]:
        """The runtime, the providers that this interpreter can use, and the machine."""
        ort = runtime()
        built, plugins, broken = built_in(ort), [], {}
        for name in PLUGINS:
            try:
                plugins += [name] if name not in built and register_plugin(ort, name) else []
            except Refusal as error:
                broken[name] = str(error)
        files = glob.glob(os.path.join(os.path.dirname(ort.__file__), "capi", "*"))
        libraries = [path for path in files if path.endswith((".pyd", ".dll", ".dylib")) or ".so" in path]
        return {
            "protocol": PROTOCOL,
            "runtime": ort.__version__,
            "build": ort.get_build_info() if hasattr(ort, "get_build_info") else None,
            "providers": [*built, *plugins],
            "broken": broken,
            "plugins": {name: plugin_facts(name) for name in plugins},
            "machine": machine(),
            "runtime_bytes": sum(map(os.path.getsize, libraries)),
        }

    def state(self) -> dict[str, Any]:
        """What may slow the machine just now."""
        return conditions()

    def evict(self, files: list[str]) -> dict[str, Any]:
        """Drops files from the system's cache (posix_fadvise; pages that are not yet on the disk stay)."""
        if not hasattr(os, "posix_fadvise"):
            return {"evicted": False}
        for path in files:
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return {"evicted": True}

    def load(
        self,
        model: str,
        providers: list[dict[str, Any]],
        threads: int,
        optimisation: str = "all",
        allow_cpu: bool = False,
        config: Mapping[str, str] | None = None,
        nameless: bool = False,
        io: str = "host",
    ) -> dict[str, Any]:
        """Creates the session."""
        if not os.path.isfile(model):
            raise Refusal(f"model must be a file, got {model}")
        if optimisation not in OPTIMISATIONS:
            raise Refusal(f"optimisation must be one of {', '.join(OPTIMISATIONS)}, got {optimisation!r}")
        if io not in ("host", "device"):
            raise Refusal(f"io must be host or device, got {io!r}")
        option = captures(providers[0])
        memory = memory_of(providers[0]) if io == "device" or option else None
        self.origin = {"model": model, "providers": providers, "threads": threads, "io": io}
        self.origin |= {"optimisation": optimisation, "config": config}
        options = self._options()
        self.baseline_bytes = peak_bytes()
        started = self.clock()
        try:
            session = self.create(_bytes(model) if nameless else model, providers, options)
        except Exception as error:  # the runtime's own kinds
            if option and NO_CAPTURE in str(error):
                raise uncaptured(error, providers[0]) from error
            raise
        load_ns = self.clock() - started
        # A provider that fails during an inference is otherwise replaced by the CPU, and the call succeeds.
        session.disable_fallback()
        where = placed(session, providers[0]["name"], allow_cpu=allow_cpu)
        self.captured = {session: Captured(session, memory, option)} if memory and option else {}
        self.session, self.states, self.others = session, {}, []
        return {
            "load_ns": load_ns,
            "provider": providers[0]["name"],
            "threads": threads,
            "io": io,
            **where,
            "simulated": simulation(providers[0]["name"]),
            "fixed": session.get_modelmeta().custom_metadata_map.get(FIXED),
            "inputs": described(session.get_inputs()),
            "outputs": described(session.get_outputs()),
        }

    def feedback(self, states: Mapping[str, str]) -> dict[str, Any]:
        """Which output becomes which input of the next inference."""
        session = self._loaded()
        ins, outs = ({item.name for item in values} for values in (session.get_inputs(), session.get_outputs()))
        if unknown := [f"{a}={b}" for a, b in states.items() if a not in ins or b not in outs]:
            raise Refusal(f"states must map inputs to outputs of the model, got {', '.join(unknown)}")
        self.states = dict(states)
        return {"count": len(self.states), "states": self.states}

    def request(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a request to those that are timed."""
        self.requests.append({name: decode(array) for name, array in feeds.items()})
        return {"count": len(self.requests)}

    def pipeline(self, file: str, folder: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Takes the steps around the inference from a Python file that has a class `Pipeline`."""
        spec = importlib.util.spec_from_file_location("edgesft_agent_pipeline", file)
        if spec is None or spec.loader is None:
            raise Refusal(f"pipeline must be a Python file, got {file}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.steps = module.Pipeline(folder, dict(options))
        return {}

    def row(self, row: Any) -> dict[str, Any]:
        """Appends a raw row, and the request that the pipeline makes of it."""
        if self.steps is None:
            raise Refusal("there is no pipeline to take the row: send `pipeline` first")
        self.rows.append(row)
        self.requests.append(self.steps.before(row))
        return {"count": len(self.rows)}

    def first(self) -> dict[str, Any]:
        """Times one inference of the middle request."""
        return {"ns": self.time(1, [len(self.requests) // 2])["ns"][0]}

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Runs blocks of the same requests until their medians agree, or the time is up."""
        typical = int(statistics.median(self.time(PROBE, self._spread(PROBE))["ns"]))
        limit_ns = int(seconds * 1e9)
        block = max(PROBE, limit_ns // WARMUP_BLOCKS // max(1, typical))
        medians = [typical]
        samples, spent_ns, stable = PROBE, 0, False
        while spent_ns < limit_ns and not stable:
            taken = self.time(block, self._spread(block))["ns"]
            samples, spent_ns = samples + block, spent_ns + max(1, sum(taken))
            medians.append(int(statistics.median(taken)))
            recent = medians[1:][-STABLE_BLOCKS:]
            stable = len(recent) == STABLE_BLOCKS and max(recent) <= (1 + STABLE_SHARE) * min(recent)
        return {"samples": samples, "stable": stable, "typical_ns": medians[-1]}

    def time(self, count: int, picks: list[int]) -> dict[str, Any]:
        """Times inferences one by one."""
        order = self._order(len(self.requests), count, picks)
        call = self._caller()
        samples = []
        before = energy_counters()
        with undisturbed():
            for index in order:
                began, ended = call(self.requests[index], self.clock)
                samples.append(ended - began)
        return {"ns": samples, "energy_uj": energy_between(before, energy_counters())}

    def paced(self, count: int, picks: list[int], interval_ns: int) -> dict[str, Any]:
        """Times inferences that become due at a fixed rate, as a camera's frames do.

        One that has to wait for the one before it counts from the moment it was due. That this process woke a little
        late counts for nothing: only queueing is the model's own doing.
        """
        order = self._order(len(self.requests), count, picks)
        call = self._caller()
        waited, served = [], []
        before = energy_counters()
        with undisturbed():
            due = ended = self.clock()
            for index in order:
                queued = ended > due
                self._wait(due)
                began, ended = call(self.requests[index], self.clock)
                served.append(ended - began)
                waited.append(ended - (due if queued else began))
                due += interval_ns
        return {"ns": waited, "service_ns": served, "energy_uj": energy_between(before, energy_counters())}

    def flight(self, count: int, picks: list[int], streams: int) -> dict[str, Any]:
        """Times inferences of which `streams` are in flight at any moment.

        A session that has a pool of threads takes them all (`run_async`). One that has a single thread cannot, and
        states belong to a stream: then each stream has a session of its own.
        """
        order = self._order(len(self.requests), count, picks)
        # What runs at once in one session is fed from the host, and a graph has one place of inputs.
        shared = self.origin["threads"] > 1 and not self.states and not self._placed
        before = energy_counters()
        with undisturbed():
            samples, wall_ns = self._async(order, streams) if shared else self._sessions(order, streams)
        return {
            "ns": samples,
            "wall_ns": wall_ns,
            "how": "run_async" if shared else "sessions",
            "energy_uj": energy_between(before, energy_counters()),
        }

    def spans(self, count: int, picks: list[int]) -> dict[str, Any]:
        """Times raw rows from end to end: the pipeline before, the inference, the pipeline after."""
        session, steps = self._loaded(), self.steps
        order = self._order(len(self.rows), count, picks)
        self._refuse_rows()
        names = [item.name for item in session.get_outputs()]
        states: dict[str, Any] = {}
        marks = []
        before = energy_counters()
        with undisturbed():
            for index in order:
                began = self.clock()
                feeds = steps.before(self.rows[index]) | states
                fed = self.clock()
                outputs = dict(zip(names, session.run(names, feeds), strict=True))
                ran = self.clock()
                steps.after(outputs)
                marks.append((began, fed, ran, self.clock()))
                states = {name: outputs[output] for name, output in self.states.items()}
        return {
            "ns": [ended - began for began, _, _, ended in marks],
            "before_ns": [fed - began for began, fed, _, _ in marks],
            "inference_ns": [ran - fed for _, fed, ran, _ in marks],
            "after_ns": [ended - ran for _, _, ran, ended in marks],
            "energy_uj": energy_between(before, energy_counters()),
        }

    def pipelined(
        self,
        count: int,
        picks: list[int],
        streams: int,
        queue: int,
        interval_ns: int | None = None,
        deadline_ns: int | None = None,
    ) -> dict[str, Any]:
        """Times raw rows whose steps overlap, and before that the same rows one after another."""
        if self.states:
            raise Refusal("states go from one inference to the next, so that steps cannot overlap")
        if min(streams, queue) < 1:
            raise Refusal(f"streams and queue must be 1 or more, got {streams} and {queue}")
        order = self._order(len(self.rows), count, picks)
        self._refuse_rows()
        names = [item.name for item in self.session.get_outputs()]

        def infer(session: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
            return dict(zip(names, session.run(names, feeds), strict=True))

        runs = [functools.partial(infer, session) for session in self._crew(streams)]
        for run in runs:
            run(self.requests[order[0]])
        # Until rows stand in every place, and when no more come, each waits for fewer others than in between.
        edge = min(count, queue + 3 * streams + 2)
        rows = {number: self.rows[picks[number % len(picks)]] for number in range(-edge, count + edge)}
        with undisturbed():
            loop_ns, loop_wall_ns = self._looped(order, runs[0])
            before, began = energy_counters(), self.clock()
            fates = self._overlapped(rows, runs, queue, interval_ns, deadline_ns)
            wall_ns, energy_uj = self.clock() - began, energy_between(before, energy_counters())
        found = fates.told(count)
        if energy_uj is not None:
            energy_uj = energy_uj * len(found["ns"]) // max(1, len(fates.ended))
        walls = {"wall_ns": wall_ns, "loop_ns": loop_ns, "loop_wall_ns": loop_wall_ns}
        return {**found, **walls, "energy_uj": energy_uj}

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """One inference with its outputs."""
        session = self._loaded()
        given = {name: decode(array) for name, array in feeds.items()}
        if captured := self.captured.get(session):
            captured.fill(given, {})
            captured.run()
            found = captured.answers()
        else:
            names = [item.name for item in session.get_outputs()]
            found = dict(zip(names, session.run(None, given), strict=True))
        return {"outputs": {name: encode(array) for name, array in found.items()}}

    def profile(self, count: int) -> dict[str, Any]:
        """Where the time goes: the runtime's own profile of `count` inferences."""
        order = self._order(len(self.requests), count, list(range(len(self.requests))))
        options = self._options()
        options.enable_profiling = True
        with tempfile.TemporaryDirectory() as folder:
            options.profile_file_prefix = os.path.join(folder, "profile")
            # Of a graph that is repeated no node is told.
            asked, *others = self.origin["providers"]
            given = {name: value for name, value in asked["options"].items() if name != captures(asked)}
            session = self.create(self.origin["model"], [{**asked, "options": given}, *others], options)
            session.disable_fallback()
            call = Caller(session, self.states, asked["name"], self._memory)
            for index in [order[0]] * PROFILE_LEAD_IN + order:
                call(self.requests[index], self.clock)
            with open(session.end_profiling(), encoding="utf-8") as file:
                return summarised(json.load(file), count)

    def instructions(self, how: str, count: int, folder: str = "") -> dict[str, Any]:
        """Counts the instructions of inferences of the middle request, one after another."""
        order = self._order(len(self.requests), count, [len(self.requests) // 2])
        call = self._caller()
        counter = Callgrind(folder) if how == "callgrind" else Perf()
        try:
            with undisturbed():
                for index in order:
                    counter.region(functools.partial(call, self.requests[index], self.clock))
                for _ in range(EMPTY):
                    counter.region(lambda: None)
            counts = counter.counts()
        finally:
            counter.close()
        if len(counts) != count + EMPTY:
            raise Refusal(f"{how} must have counted {count + EMPTY} times, got {len(counts)}")
        empty = int(statistics.median(counts[count:]))
        return {"counts": [each - empty for each in counts[:count]], "cpu": visible_cpu()}

    def memory(self) -> dict[str, Any]:
        """Peak resident memory, and what it was before the model was loaded."""
        return {"peak_bytes": peak_bytes(), "baseline_bytes": self.baseline_bytes}

    def model(self) -> dict[str, Any]:
        """Which file was loaded."""
        self._loaded()
        path = self.origin["model"]
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"name": os.path.basename(path), "bytes": os.path.getsize(path), "sha256": digest}

    def quit(self) -> dict[str, Any]:
        """Nothing to say; `serve` ends."""
        return {}

    def _loaded(self) -> Any:
        if self.session is None:
            raise Refusal("no model is loaded: send `load` first")
        return self.session

    def _options(self) -> Any:
        origin = self.origin
        return session_options(origin["model"], origin["threads"], origin["optimisation"], origin["config"])

    @property
    def _memory(self) -> Memory | None:
        """Where inputs and outputs stay; None where they are the host's."""
        return memory_of(self.origin["providers"][0]) if self.origin["io"] == "device" else None

    @property
    def _placed(self) -> bool:
        """Whether inputs and outputs have a place on the device."""
        return self._memory is not None or bool(self.captured)

    def _caller(self, session: Any = None) -> Caller | Repeater:
        session = session or self._loaded()
        if captured := self.captured.get(session):
            return Repeater(captured, self.states, stays=self._memory is not None)
        return Caller(session, self.states, self.origin["providers"][0]["name"], self._memory)

    def _refuse_rows(self) -> None:
        if self._placed:
            raise Refusal("raw rows are the host's: io must be host for them, and no graph captured")

    def _spread(self, count: int) -> list[int]:
        """At most so many requests, spread evenly over all."""
        held = len(self.requests)
        count = min(count, held)
        return [index * held // count for index in range(count)]

    def _order(self, held: int, count: int, picks: list[int]) -> list[int]:
        self._loaded()
        if not held:
            raise Refusal("there is no request to time: send `request` or `row` first")
        if not picks or not 0 <= min(picks) <= max(picks) < held:
            raise Refusal(f"picks must be numbers of the {held} requests, got {picks}")
        return [picks[index % len(picks)] for index in range(count)]

    def _wait(self, due: int) -> None:
        while (left := due - self.clock()) > 0:
            self.sleep(max(0, left - SPIN_NS) / 1e9)

    def _async(self, order: list[int], streams: int) -> tuple[list[int], int]:
        session = self.session
        names = [item.name for item in session.get_outputs()]
        begun, ended = [0] * len(order), [0] * len(order)
        room = threading.Semaphore(streams)
        failures: list[str] = []

        def done(_: Any, place: int, error: str) -> None:
            ended[place] = self.clock()
            if error:
                failures.append(error)
            room.release()

        for place, index in enumerate(order):
            room.acquire()
            begun[place] = self.clock()
            session.run_async(names, self.requests[index], done, place)
        for _ in range(streams):
            room.acquire()
        if failures:
            raise Refusal(failures[0])
        return [end - begin for begin, end in zip(begun, ended, strict=True)], max(ended) - begun[0]

    def _looped(self, order: list[int], run: Callable[[Any], Any]) -> tuple[list[int], int]:
        marks = [self.clock()]
        for index in order:
            self.steps.after(run(self.steps.before(self.rows[index])))
            marks.append(self.clock())
        return [end - begin for begin, end in itertools.pairwise(marks)], marks[-1] - marks[0]

    def _overlapped(
        self,
        rows: Mapping[int, Any],
        runs: Sequence[Callable[[Any], Any]],
        room: int,
        interval_ns: int | None,
        deadline_ns: int | None,
    ) -> Fates:
        # Each session has one row ready, and a step that is ahead waits: rows pile up only where they can be dropped.
        waiting, prepared, ran = Line(room), Line(len(runs)), Line(len(runs), writers=len(runs))
        fates, failures = Fates(), list[BaseException]()

        def work(step: Callable[[Any], Any], source: Line, target: Line | None) -> None:
            for number, value in source:
                if failures:  # what is left is only emptied, so that nobody waits for ever
                    continue
                # The last step has what a session has taken in time.
                due = None if target is None or deadline_ns is None else fates.arrived[number] + deadline_ns
                if due is not None and self.clock() > due:
                    fates.late.append(number)
                    continue
                try:
                    made = step(value)
                except BaseException as error:  # an exception of a thread is otherwise lost, and the others wait
                    failures.append(error)
                    continue
                if target is None:
                    fates.ended[number] = self.clock()
                else:
                    target.put((number, made))
            if target is not None:
                target.leave()

        jobs = [(self.steps.before, waiting, prepared), *((run, prepared, ran) for run in runs)]
        workers = [threading.Thread(target=work, args=job) for job in (*jobs, (self.steps.after, ran, None))]
        for worker in workers:
            worker.start()
        due = self.clock()
        for number, row in rows.items():
            if failures:
                break
            if interval_ns is not None:
                self._wait(due)
                due += interval_ns
            fates.arrived[number] = self.clock()
            if dropped := waiting.put((number, row), wait=interval_ns is None):
                fates.dropped.append(dropped[0])
        waiting.leave()
        for worker in workers:
            worker.join()
        if failures:
            raise failures[0]
        return fates

    def _crew(self, streams: int) -> list[Any]:
        """So many sessions of the model; those of an earlier series are used again."""
        asked = self.origin["providers"][0]
        while len(self.others) < streams - 1:
            session = self.create(self.origin["model"], self.origin["providers"], self._options())
            session.disable_fallback()
            if option := captures(asked):
                self.captured[session] = Captured(session, memory_of(asked), option)
            self.others.append(session)
        return [self.session, *self.others[: streams - 1]]

    def _sessions(self, order: list[int], streams: int) -> tuple[list[int], int]:
        callers = [self._caller(session) for session in self._crew(streams)]
        turns, samples, marks = itertools.count(), [0] * len(order), [(0, 0)] * len(order)
        failures: list[Exception] = []
        ready = threading.Barrier(len(callers))

        def work(call: Caller | Repeater) -> None:
            try:
                # CUDA's provider has a graph captured for each thread (its `PerThreadContext`).
                call(self.requests[order[0]], self.clock)
                ready.wait()
                while (place := next(turns)) < len(order):
                    marks[place] = call(self.requests[order[place]], self.clock)
                    samples[place] = marks[place][1] - marks[place][0]
            except threading.BrokenBarrierError:
                pass  # another one failed
            except Exception as error:  # an exception of a thread is otherwise lost
                failures.append(error)
                ready.abort()

        workers = [threading.Thread(target=work, args=(call,)) for call in callers]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failures:
            raise failures[0]
        return samples, max(ended for _, ended in marks) - min(began for began, _ in marks)


def summarised(events: list[dict[str, Any]], count: int) -> dict[str, Any]:
    """The last `count` inferences of a profile: nanoseconds of each, and the nodes with their calls added up."""
    runs = [event for event in events if event.get("name") == "model_run"][-count:]
    nodes: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in events:
        details = event.get("args", {})
        kernel = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        if not kernel or not runs or event["ts"] < runs[0]["ts"]:
            continue
        key = (event["name"].removesuffix("_kernel_time"), details.get("op_name", ""), details.get("provider", ""))
        shapes = [
            [list(each.items())[0] for each in details.get(name, [])]  # noqa: RUF015 (each has a single entry)
            for name in ("input_type_shape", "output_type_shape")
        ]
        empty = {"calls": 0, "ns": 0, "inputs": shapes[0], "outputs": shapes[1]}
        node = nodes.setdefault(key, dict(zip(("name", "op", "provider"), key, strict=True)) | empty)
        node["calls"] += 1
        node["ns"] += event["dur"] * 1000
    return {"run_ns": [run["dur"] * 1000 for run in runs], "nodes": list(nodes.values())}


# The conversation -----------------------------------------------------------------------------------------------------

OPERATIONS = (
    *("info", "state", "evict", "load", "feedback", "request", "pipeline", "row", "first", "warm_up"),
    *("time", "paced", "flight", "spans", "pipelined", "run", "profile", "instructions", "memory", "model", "quit"),
)


def answer(agent: Agent, line: str) -> tuple[dict[str, Any], bool]:
    """The answer to one line, and whether it was the last one."""
    op = None
    try:
        fields = json.loads(line)
        op = fields.pop("op")
        if op not in OPERATIONS:
            raise Refusal(f"op must be one of {', '.join(OPERATIONS)}, got {op!r}")
        return {"op": op, **getattr(agent, op)(**fields)}, op == "quit"
    except Exception as error:  # whatever the runtime throws must reach the other side as an answer
        return {"op": op, "error": reason(error)}, False


def reason(error: Exception) -> str:
    """Why something could not be done; what the runtime threw with its kind."""
    return str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"


def requests_of(lines: Any) -> Iterator[str]:
    """Lines of standard input as they come, read aside.

    So the end of the input is seen even while an inference hangs: if then the host, too, is gone (its process id is in
    the environment, for it may be gone before this process looks), nobody is left who could end it.
    """
    host = int(os.environ.get(HOST, os.getppid()))
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in lines:
            waiting.put(line)
        waiting.put(None)
        while os.getppid() == host:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return iter(waiting.get, None)


@contextmanager
def output() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Writes answers, a line each.

    Libraries print to file descriptor 1 from C++: the protocol keeps the real one and they get standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n") as out:
        os.dup2(2, 1)
        sys.stdout = sys.stderr

        def write(reply: Mapping[str, Any]) -> None:
            out.write(json.dumps(reply) + "\n")
            out.flush()

        yield write


def serve() -> None:
    """Answers standard input until it ends or asks to quit."""
    with output() as write:
        agent = Agent()
        for line in requests_of(sys.stdin):
            if line.strip():
                reply, last = answer(agent, line)
                write(reply)
                if last:
                    break


# By itself ------------------------------------------------------------------------------------------------------------


def requests_in(file: str) -> list[dict[str, np.ndarray]]:
    """Requests of an npz file: `<i>/<name>` is an input of the i-th one; keys without a `/` make one request."""
    with np.load(file, allow_pickle=False) as arrays:
        requests: dict[int, dict[str, np.ndarray]] = {}
        for key in arrays.files:
            number, slash, name = key.partition("/")
            requests.setdefault(int(number) if slash else 0, {})[name if slash else key] = arrays[key]
    return [requests[number] for number in sorted(requests)]


def by_itself(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every answer of measuring one model alone, one after another."""
    agent = Agent()

    def ask(op: str, **fields: Any) -> dict[str, Any]:
        return {"op": op, **getattr(agent, op)(**fields)}

    yield ask("info")
    yield ask("state")
    given = dict(pair.split("=", 1) for pair in options.option or ())
    providers = [{"name": options.provider, "options": given}]
    providers += [{"name": CPU, "options": {}}] if options.provider != CPU else []
    yield ask("load", model=options.model, providers=providers, threads=options.threads, io=options.io)
    yield ask("model")
    if options.state:
        yield ask("feedback", states=dict(pair.split("=", 1) for pair in options.state))
    agent.requests = requests_in(options.inputs)
    yield ask("first")
    warm = ask("warm_up", seconds=options.warmup_seconds)
    yield warm
    share_ns = options.seconds * 1e9 / options.rounds
    count = max(math.ceil(options.samples / options.rounds), math.ceil(share_ns / max(1, warm["typical_ns"])))
    for number in range(options.rounds):
        held = len(agent.requests)
        yield ask("time", count=count, picks=[(number * count + index) % held for index in range(min(count, held))])
    yield ask("memory")
    yield ask("state")


def arguments() -> argparse.ArgumentParser:
    """The command line of an agent that works by itself; the defaults are those of a profile."""
    parser = argparse.ArgumentParser(description="Measure an ONNX model and print JSON lines.")
    parser.add_argument("model", help="ONNX or ORT file")
    parser.add_argument("--inputs", required=True, help="npz file with <i>/<name> for input <name> of request <i>")
    parser.add_argument("--state", action="append", metavar="INPUT=OUTPUT", help="an output that is fed back")
    parser.add_argument("--provider", default=CPU, help="as ONNX Runtime spells it")
    parser.add_argument("--option", action="append", metavar="NAME=VALUE", help="option of the provider")
    parser.add_argument("--io", choices=("host", "device"), default="host", help="where inputs and outputs lie")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=300, help="least number of timed inferences")
    parser.add_argument("--seconds", type=float, default=5.0, help="least time spent on them")
    parser.add_argument("--rounds", type=int, default=20, help="that they are spread over")
    parser.add_argument("--warmup-seconds", type=float, default=5.0, help="longest warm-up")
    return parser


def main() -> int:
    """Serves, or measures the model that the command line names; 1 if that cannot be done."""
    if len(sys.argv) == 1:
        serve()
        return 0
    options = arguments().parse_args()
    with output() as write:
        try:
            for reply in by_itself(options):
                write(reply)
        except Exception as error:  # the reader must find the reason among the lines
            write(
                {"op": None, "error": str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"}
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
