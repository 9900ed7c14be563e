"""Asynchronous runs: pre-processing, several sessions and post-processing overlap, each on a thread of its own.

    from edgesft.measure.flow import flow_of, trial

    with flow_of("model.onnx", pipeline, sessions=2, queue=4, deadline_ms=100) as flow:
        flow.warm_up(first_row)
        for row in camera:
            flow.submit(row)
            for outcome in flow.take():
                show(outcome.value if outcome.state == "answered" else outcome.state)
    last = list(flow)  # what was still under way

A row waits in a queue of bounded length. Where that is full, the oldest one in it is dropped, for its answer would be
the least worth; a row whose deadline passes before a session takes it is given up as late. Every row has exactly one
`Outcome`, also one that failed. `trial` sends rows through a flow and through the plain loop, and reports both.

    report = trial(flow_of("model.onnx", pipeline, sessions=["cuda", "cpu"]), rows, interval_ns=33_000_000)
    print(report.latency_ns[50], report.throughput, report.loop.throughput, report.dropped, report.late)

Sessions may be on several providers, as here: a row goes to whichever is free, and answers come in the order of their
completion. `edgesft bench --scenario pipeline` measures sessions of one provider in this way, in a process of its own.

What overlaps is what releases the interpreter: inference, decoding, tokenizing, numpy on large arrays. Steps of plain
Python code take turns, and a thread whose inference is done waits for its turn as long as `sys.setswitchinterval`
lets another one have it, by default 5 ms. Handing a row from thread to thread costs about 0.1 ms altogether (measured,
CPython 3.11 on 2 cores): steps that take less are faster in a loop.
"""

from edgesft.measure.flow.flow import Flow
from edgesft.measure.flow.loop import loop
from edgesft.measure.flow.outcome import Outcome
from edgesft.measure.flow.report import FlowReport
from edgesft.measure.flow.sessions import flow_of
from edgesft.measure.flow.trial import paced, trial

__all__ = ["Flow", "FlowReport", "Outcome", "flow_of", "loop", "paced", "trial"]
