from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.measure import agent
from tests.measure.models import save_product


def talk(lines: list[Any]) -> tuple[list[dict[str, Any]], str]:
    """Answers of a fresh agent process to these requests, and its standard error."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = subprocess.run(
        [sys.executable, agent.__file__], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def load(model: Path, provider: str = "CPUExecutionProvider") -> dict[str, Any]:
    return {"op": "load", "model": str(model), "providers": [{"name": provider, "options": {}}], "threads": 1}


def test_imports_nothing_that_another_interpreter_may_lack() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "onnxruntime"}
    for node in ast.walk(ast.parse(Path(agent.__file__).read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= allowed


def test_a_whole_conversation(tmp_path: Path) -> None:
    feeds = {"x": agent.encode(np.arange(8, dtype=np.float32).reshape(2, 4))}
    answers, _ = talk(
        [
            {"op": "info"},
            load(save_product(tmp_path / "m.onnx", repeats=3)),
            {"op": "request", "feeds": feeds},
            {"op": "first"},
            {"op": "time", "count": 4, "start": 7, "stride": 1, "window": 2},
            {"op": "run", "feeds": feeds},
            {"op": "memory"},
            {"op": "quit"},
            {"op": "info"},
        ]
    )
    assert len(answers) == 8, "nothing is answered after quit"
    info, loaded, request, first, timed, run, memory, quit_ = answers
    assert "CPUExecutionProvider" in info["providers"] and info["runtime"]
    assert loaded["load_ns"] > 0
    assert loaded["placement"] == {"CPUExecutionProvider": 3}
    assert (loaded["partitions"], loaded["inputs"], loaded["outputs"]) == (1, ["x"], ["y"])
    assert request == {"count": 1}
    assert isinstance(first["ns"], int) and first["ns"] > 0
    assert len(timed["ns"]) == 4 and all(isinstance(ns, int) and ns > 0 for ns in timed["ns"])
    assert run == {"outputs": {"y": feeds["x"]}}
    assert memory["peak_bytes"] > memory["baseline_bytes"] > 10**6
    assert quit_ == {}


def test_failures_are_answers(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    answers, stderr = talk(
        [
            "no json",
            {"op": "dance"},
            {"op": "time", "count": 1, "start": 0, "stride": 1, "window": 1},
            load(tmp_path / "missing.onnx"),
            load(tmp_path / "broken.onnx"),
            load(model, "CUDAExecutionProvider"),
            load(model),
            {"op": "time", "count": 1, "start": 0, "stride": 1, "window": 1},
            {"op": "run", "feeds": {"z": agent.encode(np.zeros(4, np.float32))}},
            {"op": "run", "feeds": {"x": agent.encode(np.zeros((1, 4), np.float32))}},
        ]
    )
    errors = [answer.get("error", "") for answer in answers]
    expected = [
        "JSONDecodeError",
        "op must be one of info, load",
        "no model is loaded",
        "model must be a file",
        "INVALID_PROTOBUF|InvalidProtobuf",
        "provider CUDAExecutionProvider is not in this onnxruntime",
        "",
        "there is no request to time",
        "x",
        "",
    ]
    for error, words in zip(errors, expected, strict=True):
        assert any(word in error for word in words.split("|")), error
        assert bool(error) == bool(words)
    assert "Traceback" not in stderr


def test_a_session_that_fell_back_is_refused() -> None:
    class FellBack:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    with pytest.raises(agent.Refusal, match="QNNExecutionProvider did not start, or took no node"):
        agent.placed(FellBack(), "QNNExecutionProvider")


def test_a_provider_without_a_node_is_refused_and_partitions_are_counted() -> None:
    class Subgraph:
        def __init__(self, ep_name: str, nodes: int) -> None:
            self.ep_name, self._nodes = ep_name, nodes

        def get_nodes(self) -> list[None]:
            return [None] * self._nodes

    class Session:
        def get_providers(self) -> list[str]:
            return ["QNNExecutionProvider", "CPUExecutionProvider"]

        def get_provider_graph_assignment_info(self) -> list[Subgraph]:
            return self.subgraphs

        subgraphs = [Subgraph("QNNExecutionProvider", 5), Subgraph("CPUExecutionProvider", 1)]

    session = Session()
    session.subgraphs = session.subgraphs + [Subgraph("QNNExecutionProvider", 2)]
    assert agent.placed(session, "QNNExecutionProvider") == (
        {"QNNExecutionProvider": 7, "CPUExecutionProvider": 1},
        2,
    )
    session.subgraphs = [Subgraph("CPUExecutionProvider", 8)]
    with pytest.raises(agent.Refusal, match="no node was placed on QNNExecutionProvider; all are on CPU"):
        agent.placed(session, "QNNExecutionProvider")


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([[1.5, -2.25]], dtype=np.float16),
        np.array(3, dtype=np.uint8),
        np.zeros((0, 4), dtype=np.float32),
        np.array([True, False]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i4"),
        np.array([["a", "ü"]], dtype=object),
    ],
)
def test_arrays_survive_json(array: np.ndarray) -> None:
    back = agent.decode(json.loads(json.dumps(agent.encode(array))))
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array)


def test_outputs_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(agent.Refusal, match="must be a tensor, got list"):
        agent.encode([{"a": 1.0}])


def test_time_strides_within_the_window() -> None:
    class Session:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def run(self, names: None, feeds: dict[str, np.ndarray]) -> None:
            self.seen.append(int(feeds["x"]))

    measured = agent.Agent()
    measured.session = session = Session()
    measured.requests = [{"x": np.array(index)} for index in range(5)]
    assert len(measured.time(7, 3, 2, 3)["ns"]) == 7
    assert session.seen == [3, 0, 2, 3, 0, 2, 3]
    measured.first()
    assert session.seen[-1] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux carries the parent's peak through exec")
def test_peak_memory_is_not_the_parents() -> None:
    """A process that is much larger than an agent starts one."""
    code = (
        "import subprocess, sys\n"
        "ballast = bytearray(b'x') * 400_000_000\n"
        "subprocess.run([sys.executable, sys.argv[1]], check=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, agent.__file__],
        input='{"op": "memory"}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert 1e6 < json.loads(done.stdout)["peak_bytes"] < 200e6


def test_what_libraries_print_stays_off_the_protocol(tmp_path: Path) -> None:
    """A stand-in for onnxruntime prints to file descriptor 1, as C++ does."""
    (tmp_path / "onnxruntime.py").write_text(
        "import os\nos.write(1, b'loud\\n')\nprint('louder')\nraise ImportError('no')\n"
    )
    done = subprocess.run(
        [sys.executable, agent.__file__],
        input='{"op": "info"}\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert "loud" in done.stderr
    (line,) = done.stdout.splitlines()
    assert "onnxruntime cannot be imported" in json.loads(line)["error"]
