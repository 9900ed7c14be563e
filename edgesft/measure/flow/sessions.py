"""A flow of an ONNX file, on ONNX Runtime in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgesft.data import files
from edgesft.errors import InputError, Problem, UnavailableError
from edgesft.measure import agent
from edgesft.measure.flow.flow import Flow
from edgesft.measure.providers import resolve
from edgesft.spec.profile import ProviderSpec

Arrays = Mapping[str, np.ndarray]

Provider = str | ProviderSpec
"""By name (`cpu`, `CUDAExecutionProvider`), or with options."""


class Steps(Protocol):
    """What is done before and after an inference, as the class `Pipeline` of `edgesft.measure.pipelines` does it."""

    def before(self, row: Any, /) -> Arrays:
        """A raw row → the model's feeds."""

    def after(self, outputs: Any, /) -> Any:
        """The model's outputs by name → the answer."""


def flow_of(
    model: str | Path,
    pipeline: Steps,
    *,
    sessions: int | Sequence[Provider | Sequence[Provider]] = 2,
    threads: int = 1,
    providers: Sequence[Provider] | None = None,
    queue: int = 8,
    deadline_ms: float | None = None,
) -> Flow:
    """A flow through several sessions of a model. Each session holds the weights.

    Args:
        model: ONNX or ORT file.
        pipeline: The steps around the inference.
        sessions: Inferences at once; or of each session its provider, or its providers in order of preference, so that
            several devices share the rows: `["cuda", "cpu"]` are two sessions. A row goes to whichever is free.
        threads: Intra-op threads of each session; with the sessions' number at most the cores, or they get in each
            other's way.
        providers: Of all sessions, in order of preference; by default the CPU. The first one of a session must take at
            least one node.
        queue: As `Flow` has it.
        deadline_ms: As `Flow` has it.

    Raises:
        InputError: What is given cannot work, captured graphs among it, or ONNX Runtime cannot load the file.
        UnavailableError: The first provider of a session is not to be had, or takes no node.
    """
    path = Path(model)
    _check(path, sessions, threads, providers)
    each = [providers or (agent.CPU,)] * sessions if isinstance(sessions, int) else [*map(_several, sessions)]
    asked = [[_asked(provider) for provider in named] for named in each]
    runs = [_runner(_session(path, named, threads)) for named in asked]
    return Flow(pipeline.before, runs, pipeline.after, queue=queue, deadline_ms=deadline_ms)


def _check(path: Path, sessions: Any, threads: Any, providers: Any) -> None:
    """Everything that is wrong with the file and its sessions at once."""
    problems = []
    if isinstance(sessions, Sequence):
        named = [isinstance(each, str | Sequence | ProviderSpec) and each for each in sessions]
        if isinstance(sessions, str) or not all([sessions, *named]):
            message = f"sessions must name a provider of each, got {sessions!r}"
            problems.append(Problem(message, 'sessions=["cuda", "cpu"]'))
        if providers is not None:
            message = f"providers must be left out where sessions name theirs, got {providers!r}"
            problems.append(Problem(message, "sessions=2 for two on the same ones"))
    elif not isinstance(sessions, int) or sessions < 1:
        problems.append(Problem(f"sessions must be 1 or more, got {sessions!r}", "sessions=1"))
    if not isinstance(threads, int) or threads < 1:
        problems.append(Problem(f"threads must be 1 or more, got {threads!r}", "threads=1"))
    if providers is not None and not providers:
        problems.append(Problem("providers must name at least one, got none", f"providers=[{agent.CPU!r}]"))
    if missing := files.missing(path, "model"):
        problems.append(missing)
    if problems:
        raise InputError(problems)


def _several(named: Provider | Sequence[Provider]) -> Sequence[Provider]:
    return [named] if isinstance(named, str | ProviderSpec) else named


def _asked(provider: Provider) -> dict[str, Any]:
    if isinstance(provider, str):
        return {"name": resolve(provider), "options": {}}
    found = {"name": provider.name, "options": dict(provider.options)}
    if option := agent.captures(found):
        # A graph that is repeated reads the addresses that it was captured with, and a flow's rows lie elsewhere.
        message = f"option '{option}' of {provider.name} must be off in a flow, got {provider.options[option]!r}"
        raise InputError(message, "edgesft bench, which measures captured graphs")
    return found


def _session(path: Path, providers: list[dict[str, Any]], threads: int) -> Any:
    try:
        session = agent.create_session(str(path), providers, agent.session_options(str(path), threads))
        # Otherwise a provider that fails during an inference is replaced by the CPU, and nobody learns of it.
        session.disable_fallback()
        agent.placed(session, providers[0]["name"])
    except agent.Refusal as refusal:
        raise UnavailableError(str(refusal), "edgesft doctor") from refusal
    except Exception as error:  # ONNX Runtime raises its own unrelated types
        raise InputError(
            f"model: {path.name!r} must load in ONNX Runtime, got: {error}", f"edgesft bench {path.name}"
        ) from error
    return session


def _runner(session: Any) -> Callable[[Arrays], dict[str, np.ndarray]]:
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))
