"""What is found out about a row besides its latency: its answers, where its nodes run, where its time goes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesft.measure.agent import CPU
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepared import Outputs, Prepared
from edgesft.measure.bench.row import Row
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.explain.explain import Explanation, explain
from edgesft.measure.explain.roof import Roof, measure_roof
from edgesft.measure.explain.work import UNPACKED, with_weights
from edgesft.measure.parity import compare
from edgesft.measure.providers import PROVIDERS
from edgesft.measure.subject import Subject

COPIES = "Memcpy"
"""Nodes that move values between devices, which the runtime puts in itself."""

COMPARE_SECONDS, FEWEST = 30.0, 4
"""Answers are compared for so long, or of so many requests: a simulator takes seconds for one."""

PROFILED = 20
"""Inferences under the runtime's profiler: its shares hardly change after a few."""

SETTLING = 1.0
"""Seconds in which the latency without the profiler settles."""


class Surveyor:
    """Looks at rows one after another; the machine's roof is measured once for a provider with its options."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._roofs: dict[str, Roof] = {}

    def survey(self, row: Row, subject: Subject, prepared: Prepared) -> Row:
        """The row with parity, shares of time, and where asked for its explanation.

        It runs in a process of its own, for the one that was timed tells the model's memory.
        """
        try:
            with subject.connect() as agent:
                subject.begin(agent, whole=False)
                row = _compared(row, prepared, agent)
                if (self._order.explain or row.provider != CPU) and not _known(row):
                    row = self._profiled(row, subject, agent)
            if row.provider != CPU:
                row = replace(row, whole=_whole(subject))
        except MeasureError as error:
            return replace(row, problem=f"measured, but not checked: {error}")
        return row

    def _profiled(self, row: Row, subject: Subject, agent: Agent) -> Row:
        profile = agent.profile(1 if _simulated(row) else PROFILED)
        if not self._order.explain:
            total = sum(node["ns"] for node in profile["nodes"]) or 1
            shares: dict[str, float] = {}
            for node in profile["nodes"]:
                shares[node["provider"]] = shares.get(node["provider"], 0.0) + node["ns"] / total
            return _placed(replace(row, time_shares=None if _simulated(row) else shares), profile["nodes"])
        explanation = self._explained(row, subject, agent, profile)
        row = replace(row, time_shares=explanation.providers, explanation=explanation)
        return _placed(row, profile["nodes"])

    def _explained(self, row: Row, subject: Subject, agent: Agent, profile: dict[str, object]) -> Explanation:
        """Where the time of the middle request goes.

        A second, unpacked profile tells the weights' shapes, and its times are not used.
        """
        typical_ns = agent.warm_up(SETTLING).typical_ns
        agent.load(
            subject.model,
            subject.providers,
            subject.threads,
            session=subject.session.having(UNPACKED),
            allow_cpu=subject.allow_cpu,
        )
        whole = with_weights(profile, agent.profile(1))
        asked = subject.providers[0].model_dump_json()
        if asked not in self._roofs:
            self._roofs[asked] = measure_roof(subject.providers, subject.threads, subject.connect)
        return explain(whole, self._roofs[asked], typical_ns)


def _compared(row: Row, prepared: Prepared, agent: Agent) -> Row:
    """The row with how far its answers are from its reference's, and from those of what it was made of."""
    if not (prepared.expected or prepared.original):
        return row
    known = PROVIDERS.get(row.provider)
    precision = "fp16" if known and known.halves and row.file.precision == "fp32" else row.file.precision
    got = answers(agent, prepared.compared)
    if prepared.expected:
        row = replace(row, parity=compare(prepared.expected[: len(got)], got, precision))
    if prepared.original:
        row = replace(row, agreement=compare(prepared.original[: len(got)], got, precision))
    return row


def answers(agent: Agent, compared: Sequence[Outputs]) -> list[Outputs]:
    """The answers to as many of the requests as can be had in a while, the shortest first."""
    found: list[Outputs] = []
    ends = time.monotonic() + COMPARE_SECONDS
    for feeds in compared:
        found.append(agent.run(feeds))
        if len(found) >= FEWEST and time.monotonic() > ends:
            break
    return found


def _simulated(row: Row) -> bool:
    return row.measurement is not None and row.measurement.simulated is not None


def _known(row: Row) -> bool:
    """Whether a profile would tell nothing: the row's times do not count, and it is known where its nodes are."""
    return row.measurement is not None and _simulated(row) and row.measurement.placement is not None


def _placed(row: Row, nodes: Sequence[Mapping[str, Any]]) -> Row:
    """The row with where its nodes ran, from the profile, where the runtime's own record does not tell.

    Raises:
        MeasureError: None ran on the provider that was asked for, and that is not allowed.
    """
    measured = row.measurement
    if measured is None or measured.placement is not None:
        return row
    ran = [node for node in nodes if not node["op"].startswith(COPIES)]
    placement = dict(Counter(str(node["provider"]) for node in ran))
    if row.provider not in placement:
        raise MeasureError(f"no node ran on {row.provider}; all did on {', '.join(placement) or 'nothing'}")
    left = dict(Counter(str(node["op"]) for node in ran if node["provider"] != row.provider))
    return replace(row, measurement=replace(measured, placement=placement, left=left))


def _whole(subject: Subject) -> bool | None:
    """Whether a session comes about in which no node may go to the CPU; None where the provider cannot be so asked."""
    alone = replace(subject, providers=subject.providers[:1])
    with alone.connect() as agent:
        try:
            agent.load(
                alone.model,
                alone.providers,
                alone.threads,
                session=alone.session.having({"session.disable_cpu_ep_fallback": "1"}),
                beside=alone.files,
            )
        except MeasureError as error:
            if error.reason is None:
                return None
            return False
    return True
