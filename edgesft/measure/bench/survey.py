"""What is found out about a row besides its latency: its answers, where its nodes run, where its time goes."""

from __future__ import annotations

from dataclasses import replace

from edgesft.measure.agent import CPU
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import Prepared
from edgesft.measure.bench.row import Row
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.explain.explain import Explanation, explain
from edgesft.measure.explain.roof import Roof, measure_roof
from edgesft.measure.explain.work import UNPACKED, with_weights
from edgesft.measure.parity import compare
from edgesft.measure.subject import Subject

PROFILED = 20
"""Inferences under the runtime's profiler: its shares hardly change after a few."""

SETTLING = 1.0
"""Seconds in which the latency without the profiler settles."""


class Surveyor:
    """Looks at rows one after another; the machine's roof is measured once a provider."""

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
                if prepared.expected:
                    answers = [agent.run(feeds) for feeds in prepared.compared]
                    row = replace(row, parity=compare(prepared.expected, answers, row.file.precision))
                if self._order.explain or row.provider != CPU:
                    row = self._profiled(row, subject, agent)
        except MeasureError as error:
            return replace(row, problem=f"measured, but not checked: {error}")
        return row

    def _profiled(self, row: Row, subject: Subject, agent: Agent) -> Row:
        profile = agent.profile(PROFILED)
        if not self._order.explain:
            total = sum(node["ns"] for node in profile["nodes"]) or 1
            shares: dict[str, float] = {}
            for node in profile["nodes"]:
                shares[node["provider"]] = shares.get(node["provider"], 0.0) + node["ns"] / total
            return replace(row, time_shares=shares)
        explanation = self._explained(row, subject, agent, profile)
        return replace(row, time_shares=explanation.providers, explanation=explanation)

    def _explained(self, row: Row, subject: Subject, agent: Agent, profile: dict[str, object]) -> Explanation:
        """Where the time of the middle request goes.

        A second, unpacked profile tells the weights' shapes, and its times are not used.
        """
        typical_ns = agent.warm_up(SETTLING).typical_ns
        agent.load(subject.model, subject.providers, subject.threads, allow_cpu=subject.allow_cpu, config=UNPACKED)
        whole = with_weights(profile, agent.profile(1))
        if row.provider not in self._roofs:
            self._roofs[row.provider] = measure_roof(subject.providers, subject.threads, subject.connect)
        return explain(whole, self._roofs[row.provider], typical_ns)
