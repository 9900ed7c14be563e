"""What is counted of a model without timing it: where its nodes run, and how much they multiply."""

from __future__ import annotations

from dataclasses import dataclass

from edgesft.measure.bench.prepare import ON_CPU, PLAIN
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.explain.layer import CONTAINERS
from edgesft.measure.explain.work import UNPACKED, work
from edgesft.measure.replies import Loaded
from edgesft.measure.subject import Subject


@dataclass(frozen=True)
class Structure:
    """What repeats to the last digit.

    Attributes:
        loaded: What loading on the asked provider told.
        macs: Multiply-accumulates of one inference of the middle request, or None where no node tells them.
        inputs: What was fed.
        runtime: Version of onnxruntime.
        machine: The agent's machine.
    """

    loaded: Loaded
    macs: int | None
    inputs: str
    runtime: str
    machine: dict[str, object]


def structure(subject: Subject, prepared: Prepared) -> Structure:
    """Loads the model on its provider, then once more as the file says, and runs it once under the profiler.

    Multiply-accumulates are those of the file's own nodes: what the runtime makes of them differs between machines (a
    blocked layout pads channels to the width of the registers).

    Raises:
        MeasureError: It cannot be loaded, or not run.
    """
    with subject.connect() as agent:
        info = agent.info()
        loaded, _ = subject.begin(agent, whole=False)
        macs = None
        if prepared.pipeline is None and prepared.file.form == "onnx":
            agent.load(subject.model, ON_CPU, subject.threads, session=PLAIN.having(UNPACKED))
            nodes = [node for node in agent.profile(1)["nodes"] if node["op"] not in CONTAINERS]
            known = [each * node["calls"] for node in nodes if (each := work(node).macs) is not None]
            macs = sum(known) if known else None
    return Structure(loaded, macs, prepared.requests.source, info["runtime"], info["machine"])
