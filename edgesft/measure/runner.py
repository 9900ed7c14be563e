"""Models behind the call that tasks predict with, each graph in an agent of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from edgesft.measure.devices import HERE, Device
from edgesft.measure.driver import TIMEOUT_SECONDS, Agent, MeasureError
from edgesft.spec.profile import ProfileSpec
from edgesft.tasks.base import Run


def runner(agents: Mapping[str, Agent]) -> Run:
    """What a task's `predict` calls, answered by the agents' models.

    One call costs about a tenth of a millisecond beyond the inference for inputs of a few kilobytes.

    Args:
        agents: Graph → the agent that has loaded it.
    """

    def run(feeds: Mapping[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
        if graph not in agents:
            raise MeasureError(f"graph must be {' or '.join(map(repr, agents))}, got '{graph}'")
        return agents[graph].run(feeds)

    return run


@contextmanager
def answering(
    files: Mapping[str, Path],
    profile: ProfileSpec,
    device: Device = HERE,
    *,
    allow_cpu: bool = False,
    time_limit: float = TIMEOUT_SECONDS,
) -> Iterator[Run]:
    """What a task's `predict` calls, each graph in a process of its own.

    Args:
        files: Graph → its file.
        profile: Says on which provider and threads, and how the session is made.
        device: Where.
        allow_cpu: Whether the provider may leave all nodes to the CPU.
        time_limit: Longest seconds to wait for one answer of an agent.

    Raises:
        MeasureError: A file cannot be loaded, or not on that provider.
    """
    with ExitStack() as stack:
        agents = {}
        for name, file in files.items():
            agents[name] = stack.enter_context(Agent(profile.threads, device, timeout_seconds=time_limit))
            agents[name].load(
                file,
                profile.providers,
                profile.threads,
                session=profile.session,
                allow_cpu=allow_cpu,
            )
        yield runner(agents)
