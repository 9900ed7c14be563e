"""The native runner against the reference: it is built here, and both are asked the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.measure import agent
from edgesft.measure.recording import recordings
from tests.export import native
from tests.measure import models

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "export" / "runner"

Answers = list[dict[str, Any]]
Both = Callable[..., tuple[Answers, Answers]]

DTYPES = ("float16", "float32", "float64", "bool") + tuple(
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
)

TIME = {"op": "time", "count": 3, "picks": [0]}

NO_REQUESTS = (
    *("no json", "{", "-", '"', '"\\', "[" * 10**5, '["op"', "[]", "1 2", '{"a":1}', '{"op":1}', '{"op"}'),
    *('{"op":"info",}', "{'op':'info'}", '{"op":"info"} 1', '{"op":"info"', '{"op":"info"}}', '{"op":"a\tb"}'),
    *('{"op":"\\x"}', '{"op":"\\ud800x"}', '{"op":"\\u12g4"}', '{"op":"info","a":01}', '{"op":"info","a":1.}'),
    *('{"op":"info","a":.5}', '{"op":"info","a":+1}', '{"op":"info","a":NaN}', '{"op":"info","a":tru}'),
    *('{"op":"info","a":1e999}', '{"op":"info","a":-}', '{"op":"info" "a":1}', '{"op":"info","a":[1 2]}'),
)
"""Lines that are no JSON, or no object with an `op`."""

MACHINE = """
#include <iostream>
#include "energy.hpp"

int main(int, char** words) {
    using namespace edgesft;
    auto used = energy_counters(words[1]), later = energy_counters(words[2]);
    std::cout << Json(machine(words[1])).text() << "\\n" << Json(conditions(words[1])).text() << "\\n"
              << energy_between(used, later).text() << "\\n";
}
"""
"""Prints what the runner would tell of the machine whose `proc` and `sys` lie in the folders that are named."""


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built once."""
    return native.made(SOURCE, tmp_path_factory.mktemp("runner")) / "runner"


@pytest.fixture(scope="session")
def library() -> Path:
    """The runtime that the reference has, too."""
    return native.library()


def talk(command: Sequence[str | Path], lines: Sequence[Any], environment: dict[str, str] | None = None) -> Answers:
    """Answers of a fresh process to these requests."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, encoding="utf-8", timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def ask(runner: Path, library: Path) -> Callable[..., Answers]:
    return lambda *lines: talk([runner, "--runtime", library], lines)


@pytest.fixture
def both(ask: Callable[..., Answers]) -> Both:
    """Answers of the runner and of the reference."""
    return lambda *lines: (ask(*lines), talk([sys.executable, agent.__file__], lines))


def load(model: Path, provider: str = agent.CPU, **more: Any) -> dict[str, Any]:
    providers = [{"name": provider, "options": {}}]
    return {"op": "load", "model": str(model), "providers": providers, "threads": 1, **more}


def feeds(**arrays: Any) -> dict[str, Any]:
    return {name: agent.encode(np.asarray(array)) for name, array in arrays.items()}


def save_counter(path: Path, axis: int | str = 1) -> Path:
    """`y` is the `n`-th of three numbers, and `next` is `n` plus one: the fourth inference from 0 fails."""
    nodes = [("Gather", ["table", "n"], ["y"], {}), ("Add", ["n", "one"], ["next"], {})]
    outputs = {"y": ("float", (axis,)), "next": ("int64", (axis,))}
    constants = {"table": np.arange(3, dtype=np.float32), "one": np.array([1])}
    return models.save(path, nodes, {"n": ("int64", (axis,))}, outputs, **constants)


def save_copies(path: Path, kinds: Sequence[str], shape: models.Shape) -> Path:
    """Each input of these types is an output, `<type>_copy`."""
    nodes = [("Identity", [kind], [f"{kind}_copy"], {}) for kind in kinds]
    named = {"float32": "float", "float64": "double"}
    inputs = {kind: (named.get(kind, kind), shape) for kind in kinds}
    return models.save(path, nodes, inputs, {f"{kind}_copy": end for kind, end in inputs.items()})


def test_a_whole_conversation_is_the_reference_s(both: Both, tmp_path: Path) -> None:
    request = feeds(x=np.arange(8, dtype=np.float32).reshape(2, 4))
    ours, theirs = both(
        {"op": "info"},
        {"op": "state"},
        load(models.save_product(tmp_path / "ü.onnx", repeats=3)),
        {"op": "model"},
        {"op": "request", "feeds": request},
        {"op": "request", "feeds": request},
        {"op": "first"},
        {"op": "warm_up", "seconds": 0.02},
        {"op": "time", "count": 5, "picks": [0, 1]},
        {"op": "paced", "count": 4, "picks": [1], "interval_ns": 200_000},
        {"op": "flight", "count": 7, "picks": [0], "streams": 2},
        {"op": "run", "feeds": request},
        {"op": "profile", "count": 2},
        {"op": "memory"},
        {"op": "evict", "files": [str(tmp_path / "ü.onnx")]},
        {"op": "quit"},
        {"op": "info"},
    )
    assert len(ours) == len(theirs) == 16, "nothing is answered after quit"
    for mine, reference in zip(ours, theirs, strict=True):
        assert "error" not in reference and set(mine) == set(reference), mine
        for name in (
            "op",
            "protocol",
            "runtime",
            "build",
            "provider",
            "threads",
            "io",
            "inputs",
            "outputs",
            "count",
            "how",
        ):
            assert mine.get(name) == reference.get(name), name
    info, state, loaded, model, _, _, first, warm, timed, paced, flight, _, profile, memory, *_ = ours
    assert model == theirs[3] and model["name"] == "ü.onnx"
    assert info["machine"] == theirs[0]["machine"] | {"python": None, "onnxruntime": None}
    assert set(state) == {"op", *agent.conditions()}
    assert set(info["providers"]) >= {agent.CPU} and info["runtime_bytes"] > 10**6
    assert loaded["load_ns"] > 0 and loaded["placement"] is loaded["partitions"] is loaded["left"] is None
    assert isinstance(first["ns"], int) and warm["samples"] > 3 and warm["typical_ns"] > 0
    for series, count in ((timed, 5), (paced, 4), (flight, 7)):
        assert len(series["ns"]) == count and all(isinstance(ns, int) and ns > 0 for ns in series["ns"])
    assert len(paced["service_ns"]) == 4 and flight["wall_ns"] >= max(flight["ns"])
    nodes = [
        [{name: value for name, value in node.items() if name != "ns"} for node in each["nodes"]]
        for each in (profile, theirs[12])
    ]
    assert nodes[0] == nodes[1] and len(profile["run_ns"]) == 2 and all(node["ns"] >= 0 for node in profile["nodes"])
    assert memory["peak_bytes"] > memory["baseline_bytes"] > 10**6


def test_every_operation_is_done_or_refused_with_its_reason(ask: Callable[..., Answers]) -> None:
    ops = [op for op in agent.OPERATIONS if op != "quit"]
    for op, reply in zip(ops, ask(*({"op": op} for op in ops)), strict=True):
        assert reply["op"] == op
        assert "op must be one of" not in reply.get("error", "")
        if op in ("pipeline", "row", "spans", "pipelined", "instructions"):
            assert "this runner" in reply["error"]


@pytest.mark.parametrize("name", ["product", "classifier", "image", "streaming"])
def test_outputs_are_the_same_bit_for_bit(name: str, both: Both, tmp_path: Path) -> None:
    model = getattr(models, f"save_{name}")(tmp_path / "m.onnx")
    rng = np.random.default_rng(1)
    request = {
        "product": feeds(x=rng.standard_normal((3, 4)).astype(np.float32)),
        "classifier": feeds(ids=rng.integers(0, 10, (2, 5))),
        "image": feeds(pixels=rng.standard_normal((1, 3, 8, 8)).astype(np.float32)),
        "streaming": feeds(x=np.full((1, 4), 0.1, np.float32), h=np.full((1, 4), 0.7, np.float32)),
    }[name]
    ours, theirs = both(load(model, optimisation="basic"), {"op": "run", "feeds": request})
    assert "error" not in theirs[1] and ours[1] == theirs[1]
    assert (ours[0]["inputs"], ours[0]["outputs"]) == (theirs[0]["inputs"], theirs[0]["outputs"])


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
def test_every_type_goes_in_and_comes_out(shape: tuple[int, ...], both: Both, tmp_path: Path) -> None:
    model = save_copies(tmp_path / "m.onnx", (*DTYPES, "string"), [f"axis{place}" for place in range(len(shape))])
    values = np.random.default_rng(2).integers(0, 2, shape) * 100
    request = feeds(**{dtype: np.asarray(values).astype(dtype) for dtype in DTYPES})
    words = [["", "a\0b", "Ü\n"][place % 3] for place in range(np.asarray(values).size)]
    request["string"] = {"dtype": "string", "shape": list(shape), "data": words}
    ours, theirs = both(load(model), {"op": "request", "feeds": request}, {"op": "run", "feeds": request}, TIME)
    assert ours[0]["inputs"] == theirs[0]["inputs"]
    assert ours[2] == {"op": "run", "outputs": {f"{name}_copy": array for name, array in request.items()}}
    assert ours[2] == theirs[2] and len(ours[3]["ns"]) == len(theirs[3]["ns"]) == 3


@pytest.mark.parametrize("axis", [1, "n"])
def test_states_are_fed_back_and_each_series_begins_anew(axis: int | str, both: Both, tmp_path: Path) -> None:
    answers = both(
        load(save_counter(tmp_path / "m.onnx", axis)),
        {"op": "request", "feeds": feeds(n=[0])},
        {"op": "request", "feeds": feeds(n=[-3])},
        {"op": "time", "count": 9, "picks": [0]},
        {"op": "feedback", "states": {"n": "next"}},
        TIME,
        TIME,
        {"op": "time", "count": 4, "picks": [0]},
        {"op": "time", "count": 6, "picks": [1]},
        {"op": "time", "count": 7, "picks": [1]},
        {"op": "paced", "count": 3, "picks": [0], "interval_ns": 1},
        {"op": "flight", "count": 1, "picks": [1], "streams": 2},
        {"op": "feedback", "states": {"n": "nowhere"}},
    )
    for replies in answers:
        assert replies[4] == {"op": "feedback", "count": 1, "states": {"n": "next"}}
        assert ["error" in reply for reply in replies[3:]] == [*[False] * 4, True, False, True, False, False, True]
        assert all("out of data bounds" in replies[index]["error"] for index in (7, 9))
    assert answers[0][-1] == answers[1][-1]


def test_sizes_may_change_with_the_request_and_with_its_data(both: Both, tmp_path: Path) -> None:
    found = {"x": ("float", ("n",))}, {"y": ("int64", (1, "found"))}
    model = models.save(tmp_path / "m.onnx", [("NonZero", ["x"], ["y"], {})], *found)
    requests = [feeds(x=np.array(x, np.float32)) for x in ([0, 0, 1], [1, 1, 1], [1, 0], [])]
    lines = [{"op": "request", "feeds": each} for each in requests]
    lines.append({"op": "time", "count": 9, "picks": [0, 1, 2, 3]})
    runs = [{"op": "run", "feeds": each} for each in requests]
    ours, theirs = both(load(model), *lines, *runs)
    assert len(ours[5]["ns"]) == 9 and ours[6:] == theirs[6:]


def test_ort_format_config_and_metadata(both: Both, tmp_path: Path) -> None:
    import onnx

    model = models.save_product(tmp_path / "m.onnx")
    proto = onnx.load(model)
    proto.metadata_props.add(key="edgesft.fixed", value='{"x": [1, 4]}')
    onnx.save(proto, tmp_path / "told.onnx")
    kept = models.save_ort(tmp_path / "no-ending", model)
    ours, theirs = both(
        load(kept, allow_cpu=False, config=None),
        load(tmp_path / "told.onnx", config={"session.intra_op.allow_spinning": "0"}),
        load(model, config={"session.load_model_format": "ORT"}),
    )
    assert ours[0]["inputs"] == theirs[0]["inputs"]
    assert ours[1]["fixed"] == theirs[1]["fixed"] == '{"x": [1, 4]}'
    assert "error" in ours[2] and "error" in theirs[2], "the entry reached the session"


def test_what_cannot_be_done_is_an_answer(both: Both, tmp_path: Path) -> None:
    model = models.save_product(tmp_path / "m.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    right = feeds(x=np.zeros((1, 4), np.float32))
    cut = {"x": right["x"] | {"shape": [2, 4]}}
    lines: dict[str, Any] = {
        "op must be one of info, state": {"op": 'dance "\\\n\x7f ü 😀'},
        "no model is loaded": TIME,
        "model must be a file": load(tmp_path / "missing.onnx"),
        "PROTOBUF|Protobuf": load(tmp_path / "broken.onnx"),
        "provider CUDAExecutionProvider is not in this onnxruntime": load(model, "CUDAExecutionProvider"),
        "optimisation must be one of all": load(model, optimisation="much"),
        "model|missing": {"op": "load"},
        "io must be host": load(model, io="elsewhere"),
        "field|unexpected": load(model, more=1),
        "": load(model),
        "there is no request to time": TIME,
        "nvalid input name: z|Required inputs": {"op": "run", "feeds": feeds(z=np.zeros(4, np.float32))},
        "bytes|reshape": {"op": "run", "feeds": cut},
        "base64|padding|multiple": {"op": "run", "feeds": {"x": right["x"] | {"data": "AAA"}}},
        "dtype|data type": {"op": "run", "feeds": {"x": right["x"] | {"dtype": "float7"}}},
        "Got: 5 Expected: 4|5": {"op": "run", "feeds": feeds(x=np.zeros((1, 5), np.float32))},
        "data type": {"op": "run", "feeds": feeds(x=np.zeros((1, 4)))},
        " ": {"op": "request", "feeds": right},
        "picks must be numbers of the 1 requests, got [1]": {"op": "time", "count": 1, "picks": [1]},
        "picks must be numbers of the 1 requests, got []": {"op": "time", "count": 1, "picks": []},
        "picks must be numbers of the 1 requests, got [-1]": {"op": "time", "count": 1, "picks": [-1]},
        "count|integer": {"op": "time", "count": "many", "picks": [0]},
        "states must map inputs to outputs of the model, got y=x": {"op": "feedback", "states": {"y": "x"}},
        "cannot be read|No such file|must be ones": {"op": "evict", "files": [str(tmp_path / "missing")]},
        "  ": TIME,
    }
    for replies in both(*lines.values()):
        for (words, line), reply in zip(lines.items(), replies, strict=True):
            assert reply["op"] == line["op"]
            assert ("error" in reply) == bool(words.strip()), reply
            assert any(each in reply.get("error", "") for each in words.strip().split("|")), (words, reply)


def test_a_runner_without_device_memory_says_so(ask: Callable[..., Answers], tmp_path: Path) -> None:
    model = models.save_product(tmp_path / "m.onnx")
    graph = load(model) | {"providers": [{"name": "CUDAExecutionProvider", "options": {"enable_cuda_graph": "1"}}]}
    for line in (load(model, io="device"), graph):
        assert "this runner has no device IO" in ask(line)[0]["error"]
    assert ask(load(model, io="host"))[0]["io"] == "host"


def test_lines_that_are_no_request_are_refused_and_the_next_is_answered(ask: Callable[..., Answers]) -> None:
    replies = ask(*(line for each in NO_REQUESTS for line in (each, "", '  {"op" : "\\u0073tate" }\r')))
    assert len(replies) == 2 * len(NO_REQUESTS)
    for line, reply, state in zip(NO_REQUESTS, replies[::2], replies[1::2], strict=True):
        assert reply["op"] != "info" and reply["error"], line[:20]
        assert state["op"] == "state" and "error" not in state, line[:20]


def test_a_line_that_is_no_utf_8_is_refused(runner: Path) -> None:
    done = subprocess.run([runner], input=b'{"op":"\xff"}\n{"op":"\xed\xa0\x80"}\n', capture_output=True, timeout=60)
    assert [json.loads(line)["op"] for line in done.stdout.splitlines()] == [None, None]


def test_providers_are_appended_with_their_options(ask: Callable[..., Answers], tmp_path: Path) -> None:
    """Azure's is in every build for Linux and takes no node by itself, which this version of the C API cannot tell."""
    model = models.save_product(tmp_path / "m.onnx")
    azure = "AzureExecutionProvider"
    number = {"op": "load", "model": str(model), "providers": [{"name": azure, "options": {"a": 1}}], "threads": 1}
    strict = load(model, azure, config={"session.disable_cpu_ep_fallback": "1"})
    info, told, refused, wrong, nnapi = ask({"op": "info"}, load(model, azure), strict, number, load(model, "NnapiX"))
    if azure not in info["providers"]:
        pytest.skip("this onnxruntime has no provider but the CPU's")
    assert (told["provider"], told["placement"]) == (azure, None)
    assert "fallback" in refused["error"]
    assert wrong["error"] == 'options must be an object of text, got {"a":1}'
    assert "NnapiX is not in this onnxruntime" in nnapi["error"]


def test_without_a_runtime_the_reason_is_answered(runner: Path, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.so", "cannot be opened"), (Path("libdl.so.2"), "is no ONNX Runtime")):
        assert words in talk([runner, "--runtime", path], [{"op": "info"}])[0]["error"]
    environment = os.environ | {"EDGESFT_RUNTIME": str(tmp_path / "other.so")}
    for expected in (tmp_path / "other.so", runner.parent / "libonnxruntime.so"):
        (reply,) = talk([runner], [{"op": "info"}], environment)
        assert f"{expected}: cannot open" in reply["error"]
        environment.pop("EDGESFT_RUNTIME", None)


def test_it_ends_with_its_host_even_while_an_inference_hangs(runner: Path, library: Path, tmp_path: Path) -> None:
    model = models.save_endless(tmp_path / "m.onnx")
    lines = [load(model), {"op": "request", "feeds": feeds(x=np.zeros(1, np.float32))}, {"op": "first"}]
    with subprocess.Popen(
        [runner, "--runtime", library],
        env=os.environ | {"EDGESFT_HOST": "1"},  # one that is not its parent, as if that had died
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
        process.stdin.flush()
        assert [json.loads(process.stdout.readline())["op"] for _ in range(2)] == ["load", "request"]
        time.sleep(0.2)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == 1


# By itself ------------------------------------------------------------------------------------------------------------


def alone(command: Sequence[str | Path], *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout or done.stderr


@pytest.fixture
def measure(runner: Path, library: Path) -> Callable[..., tuple[int, str]]:
    return lambda *arguments: alone([runner, f"--runtime={library}"], *arguments)


def test_by_itself_it_prints_what_the_reference_prints(measure: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    model, inputs = models.save_streaming(tmp_path / "m.onnx"), tmp_path / "rows.npz"
    arrays = {f"{row}/{name}": np.full((1, 4), row, np.float32) for row in (0, 2, 10) for name in ("x", "h")}
    np.savez(inputs, **arrays)
    options = [model, "--inputs", inputs, "--state", "h=hn", "--samples", "40", "--seconds", "0.01", "--rounds", "4"]
    options = [*map(str, options), "--warmup-seconds", "0.05"]
    code, text = measure(*options)
    assert code == 0, text
    told = [json.loads(line) for line in alone([sys.executable, agent.__file__], *options)[1].splitlines()]
    assert [json.loads(line)["op"] for line in text.splitlines()] == [each["op"] for each in told]
    (tmp_path / "device.jsonl").write_text(text)
    (found,) = recordings(tmp_path / "device.jsonl")
    assert (found.model_name, found.model_sha256) == ("m.onnx", told[3]["sha256"])
    measured = found.measurement
    assert (measured.provider, measured.threads, measured.states) == (agent.CPU, 1, {"h": "hn"})
    assert len(measured.rounds) == 4 and len({len(each) for each in measured.rounds}) == 1
    assert sum(map(len, measured.rounds)) >= 40
    assert measured.placement is None and len(measured.conditions) == 2
    assert measured.runtime == told[0]["runtime"] and measured.peak_memory_bytes


def test_arrays_of_a_file_are_read_as_they_are(measure: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """A model that fails where an input, less what it must be, is no index of a single row."""
    values = {dtype: np.array([[5, 0, 3], [1, 2, 4]]).astype(dtype) for dtype in DTYPES} | {"scalar": np.array(9)}
    nodes, inputs, constants = [], {}, {"table": np.zeros(1, np.float32)}
    for name, value in values.items():
        whole, must, off, far, row = (f"{name}_{part}" for part in ("whole", "must", "off", "far", "row"))
        nodes += [("Cast", [name], [whole], {"to": 7}), ("Sub", [whole, must], [off], {})]
        nodes += [("Abs", [off], [far], {}), ("Gather", ["table", far], [row], {})]
        kind = {"float32": "float", "float64": "double", "scalar": "int64"}.get(name, name)
        inputs[name], constants[must] = (kind, value.shape), value.astype(np.int64)
    outputs = {f"{name}_row": ("float", value.shape) for name, value in values.items()}
    model = models.save(tmp_path / "m.onnx", nodes, inputs, outputs, **constants)
    options = [model, "--inputs", tmp_path / "rows.npz", "--samples", "1", "--seconds", "0", "--rounds", "1"]
    np.savez(tmp_path / "rows.npz", **values)
    code, text = measure(*options)
    assert code == 0, text
    np.savez(tmp_path / "rows.npz", **{**values, "int16": values["int16"] + np.int16(1)})
    code, text = measure(*options)
    assert code == 1 and "out of data bounds" in text


def write_cut(path: Path) -> None:
    np.savez(path, x=np.zeros((1, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-30])


def write_damaged(path: Path) -> None:
    np.savez(path, x=np.zeros((1, 4), np.float32))
    data = bytearray(path.read_bytes())
    data[data.index(b"\n", data.index(b"}")) + 1] ^= 1  # the array's first byte
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: np.savez_compressed(path, x=np.zeros((1, 4), np.float32)), "write the file with numpy.savez"),
        (lambda path: np.savez(path, x=np.asfortranarray(np.ones((2, 4), np.float32))), "column-major"),
        (lambda path: np.savez(path, x=np.zeros((1, 4), ">f4")), "dtype '>f4'"),
        (lambda path: np.savez(path, x=np.array(["a"])), "dtype '<U1'"),
        (lambda path: np.savez(path, **{"a/x": np.zeros(4)}), "'<number>/<input>', got 'a/x'"),
        (lambda path: np.savez(path), "there is no request to time"),
        (lambda path: path.write_bytes(b"x" * 99), "no zip archive"),
        (write_cut, "no zip archive, or was cut short"),
        (write_damaged, "x.npy is damaged"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_files_that_are_not_read(
    write: Callable[[Path], None], words: str, measure: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    write(tmp_path / "rows.npz")
    code, text = measure(models.save_product(tmp_path / "m.onnx"), "--inputs", tmp_path / "rows.npz")
    last = json.loads(text.splitlines()[-1])
    assert code == 1 and last["op"] is None and words in last["error"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["m.onnx"], 2, "MODEL and --inputs come together"),
        (["--inputs", "rows.npz"], 2, "MODEL and --inputs come together"),
        (["--speed", "1"], 2, "there is no option --speed"),
        (["m.onnx", "--inputs"], 2, "--inputs must have a value"),
        (["m.onnx", "--inputs", "rows.npz", "--rounds=0"], 1, "rounds must be an integer of at least 1, got 0"),
        (["m.onnx", "--inputs", "rows.npz", "--threads", "x"], 1, "threads must be an integer of at least 0"),
        (["m.onnx", "--inputs", "rows.npz"], 1, "model must be a file, got m.onnx"),
        (["--help"], 0, "usage: runner"),
    ],
)
def test_command_lines(options: list[str], code: int, words: str, measure: Callable[..., tuple[int, str]]) -> None:
    got, text = measure(*options)
    assert got == code and words in text


# The machine ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [False, True])
def test_what_a_machine_tells_is_read_as_the_reference_reads_it(arm: bool, runner: Path, tmp_path: Path) -> None:
    _ = runner  # skips where nothing can be built
    x86 = "processor\t: 0\nmodel name\t: Quick  CPU\nflags\t\t: fpu avx2 fma avx512_vnni\n\nmodel name\t: Other\n"
    other = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n\nHardware\t: Chip\nModel\t\t: Board 5\n"
    files = {
        "proc/cpuinfo": other if arm else x86,
        "proc/meminfo": "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:    512 kB\n",
        "proc/loadavg": "1.25 0.5 0.2 1/100 42\n",
        "proc/device-tree/model": "Board 5\0" if arm else "",
        "sys/class/dmi/id/product_name": "" if arm else "Box\n",
        "sys/class/thermal/thermal_zone0/temp": "41000\n",
        "sys/class/thermal/thermal_zone10/temp": "-5\n" if arm else "73500\n",
        "sys/class/thermal/cooling_device0/temp": "99999\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "<unsupported>\n",
        "sys/devices/system/cpu/cpu0/cache/index0/size": "32K\n",
        "sys/devices/system/cpu/cpu0/cache/index3/size": "8192K\n",
    }
    for core in () if arm else (0, 1):
        files[f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count"] = "3\n"
    before, after = tmp_path / "before", tmp_path / "after"
    for root, used in ((before, (90, 5, 7)), (after, (10, 9, 8))):
        zones = zip(("0", "0:0", "1"), ("package-0", "core", "package-1"), used, strict=True)
        for zone, name, count in zones if not arm else ():
            folder = f"sys/class/powercap/intel-rapl:{zone}"
            files |= {f"{folder}/name": name, f"{folder}/energy_uj": str(count), f"{folder}/max_energy_range_uj": "99"}
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    (tmp_path / "tell.cpp").write_text(MACHINE)
    program = tmp_path / "tell"
    compiler = os.environ.get("CXX", "g++")
    command = [compiler, "-std=c++17", f"-I{SOURCE.parent / 'native'}", "-o", program, tmp_path / "tell.cpp"]
    subprocess.run(command, check=True, timeout=300)
    done = subprocess.run([program, before, after], capture_output=True, text=True, check=True, timeout=60)
    machine, conditions, energy = map(json.loads, done.stdout.splitlines())
    assert machine == agent.machine(before) | {"python": None, "onnxruntime": None}
    assert conditions == agent.conditions(before)
    assert energy == agent.energy_between(agent.energy_counters(before), agent.energy_counters(after))
