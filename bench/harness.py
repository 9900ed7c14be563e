"""What measuring costs: the agent's median latency against that of a bare loop of `run_with_iobinding`.

    python bench/harness.py [--seconds 10] [MODEL.onnx …]

For each model an agent, as `edgesft bench` drives it, and a process with nothing but the loop run one request by turns,
in an order that is shuffled each round. The loop binds inputs, outputs and states once and calls the clock before and
after each inference. That is repeated with fresh processes, for where memory lies differs from one to the next: the
bounds of the ratio are a bootstrap over the pairs of processes. Exits with 1 where the medians of a model differ by
more than 2 % and by more than 10 µs.

Four models that take about 0.05, 0.5, 1 and 5 ms are made here; others may be given. The request of NAME-int8.onnx is
the middle one of NAME.npz beside it, if that is there, else random.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from edgesft.budget.percentile import percentile
from edgesft.budget.ratio import ratio
from edgesft.measure.agent import CPU
from edgesft.measure.driver import Agent
from edgesft.measure.inputs import Requests, find_states, load_npz, random_requests
from edgesft.measure.protocol import LEAD_IN
from edgesft.measure.schedule import fitting
from edgesft.measure.subject import Subject
from edgesft.spec.profile import ProviderSpec

SHARE, LEAST_NS = 0.02, 10_000
"""How far the medians may differ, whichever is more."""

WIDTH, LAYERS = 256, 8
"""Of the models that are made: products with a square matrix, which stays in the cache."""

ROWS = {"0.05ms": 4, "0.5ms": 80, "1ms": 160, "5ms": 720}
"""Model that is made → rows of its input."""

PAIRS, ROUNDS, LEAST = 12, 4, 10
"""Pairs of fresh processes, rounds of each, and inferences of a round at least.

Two processes that run the same loop on 90 MB of weights were seen to differ by 3 % (standard deviation).
"""

WARM_UP_SECONDS = 1.0

Pairs = list[list[int]]
"""Nanoseconds of each inference, by pair."""

Take = Callable[[int], Sequence[int]]
"""Count → nanoseconds of so many inferences."""


def bare(pipe: Connection) -> None:
    """The loop: a model, its feeds and states come through the pipe, then counts, and so many latencies go back."""
    import onnxruntime as ort

    model, feeds, states = pipe.recv()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=[CPU])
    # What one inference writes of a state is what the next one reads.
    sides = [{name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in feeds.items()} for _ in range(2)]
    bindings = []
    for read, written in (sides, sides[::-1])[: 2 if states else 1]:
        binding = session.io_binding()
        for name, value in read.items():
            binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            binding.bind_output(output.name)
        for name, output in states.items():
            binding.bind_ortvalue_output(output, written[name])
        bindings.append(binding)
    run, clock = session.run_with_iobinding, time.perf_counter_ns
    while count := pipe.recv():
        samples = []
        for binding in islice(cycle(bindings), count):
            began = clock()
            run(binding)
            samples.append(clock() - began)
        pipe.send(samples)


@contextmanager
def of_loop(subject: Subject) -> Iterator[Take]:
    """A process with the bare loop."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=bare, args=(there,), daemon=True)
    process.start()
    # Otherwise waiting for an answer would outlast the process.
    there.close()

    def take(count: int) -> Sequence[int]:
        here.send(count)
        samples: Sequence[int] = here.recv()
        return samples

    try:
        here.send((str(subject.model), subject.held[0], dict(subject.states)))
        yield take
    finally:
        process.kill()
        process.join()


@contextmanager
def of_agent(subject: Subject) -> Iterator[Take]:
    """An agent's process."""
    with subject.connect() as agent:
        subject.begin(agent)
        yield lambda count: agent.series("time", count, [0]).ns


def compare(subject: Subject, seconds: float, rng: random.Random) -> tuple[Pairs, Pairs]:
    """What the agent and the loop took, so many seconds of each, by pair of processes."""
    agents: Pairs = []
    loops: Pairs = []
    for _ in range(PAIRS):
        with ExitStack() as stack:
            sides: list[tuple[list[int], Take]] = []
            # One after the other, either first: which memory is left to a process depends on what others hold.
            for pairs, start in rng.sample([(agents, of_agent), (loops, of_loop)], 2):
                pairs.append([])
                sides.append((pairs[-1], stack.enter_context(start(subject))))
                typical_ns = warm_up(sides[-1][1])
            count = max(LEAST, round(seconds * 1e9 / PAIRS / ROUNDS / typical_ns))
            for _ in range(ROUNDS):
                for samples, take in rng.sample(sides, 2):
                    take(LEAD_IN)
                    samples.extend(take(count))
    return agents, loops


def warm_up(take: Take) -> int:
    """Runs for a while; the median of the last inferences, in nanoseconds."""
    until = time.monotonic() + WARM_UP_SECONDS
    while time.monotonic() < until:
        last = take(LEAST)
    return percentile(last, 50)


def subject_of(model: Path) -> Subject:
    """The model on one thread of the CPU with one request, its states found by their names."""
    providers = (ProviderSpec(name=CPU),)
    with Agent() as agent:
        loaded = agent.load(model, providers, 1)
    states = find_states(loaded.inputs, loaded.outputs)
    rows = model.with_name(f"{model.stem.rpartition('-')[0]}.npz")
    requests = (
        load_npz(rows, loaded.inputs) if rows.is_file() else random_requests(loaded.inputs, {}, {}, states=states)
    )
    feeds = fitting(requests.feeds)
    return Subject(model, providers, 1, Requests((feeds[len(feeds) // 2],), requests.source), states=states)


def make(path: Path, rows: int) -> Path:
    """Products with one matrix, each through a Tanh, so that the values stay as they are."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).standard_normal((WIDTH, WIDTH), np.float32) / np.float32(WIDTH**0.5)
    nodes = []
    for layer in range(LAYERS):
        source, target = f"x{layer}" if layer else "x", f"x{layer + 1}" if layer + 1 < LAYERS else "y"
        nodes += [
            helper.make_node("MatMul", [source, "weight"], [f"product{layer}"]),
            helper.make_node("Tanh", [f"product{layer}"], [target]),
        ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, WIDTH]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "products", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def main() -> int:
    """Prints a line a model; 1 where one differs too much."""
    parser = argparse.ArgumentParser(description="Compares the agent's latency with that of a bare loop.")
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--seconds", type=float, default=10.0, help="timed inferences of each side (default: 10)")
    options = parser.parse_args()
    rng = random.Random(0)
    print(f"{'model':16} {'agent µs':>10} {'loop µs':>10} {'µs':>7} {'%':>7}  ratio, bounds at 95 %          n of each")
    with tempfile.TemporaryDirectory() as folder:
        made = [make(Path(folder) / f"{name}.onnx", rows) for name, rows in ROWS.items()]
        near = [
            _report(model.stem, *compare(subject_of(model), options.seconds, rng)) for model in [*made, *options.models]
        ]
    return int(not all(near))


def _report(name: str, agents: Pairs, loops: Pairs) -> bool:
    """Prints a model's line; whether the medians are near enough."""
    agent, loop = (percentile(np.concatenate(rounds), 50) for rounds in (agents, loops))
    apart, found = agent - loop, ratio(agents, loops, 50)
    near = abs(apart) <= max(SHARE * loop, LEAST_NS)
    figures = f"{agent / 1000:10.1f} {loop / 1000:10.1f} {apart / 1000:+7.1f} {apart / loop:+7.1%}"
    bounds = f"{found.value:.4f}, {found.lower:.4f} to {found.upper:.4f}"
    print(f"{name:16} {figures}  {bounds}  {sum(map(len, agents)):9}{'' if near else '  too far'}", flush=True)
    return near


if __name__ == "__main__":
    sys.exit(main())
