"""How a contract connects the graphs of a model: which output feeds which input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from edgesft.ship.variant import MODEL

if TYPE_CHECKING:
    import numpy as np

Feeds = Mapping[str, "np.ndarray"]

Outputs = Mapping[str, "np.ndarray"]

Answer = Callable[[Feeds], "dict[str, np.ndarray]"]

Ends = Mapping[str, Any]
"""`inputs` and `outputs` of a graph."""


class Run(Protocol):
    """One inference of a graph of a model."""

    def __call__(self, feeds: Feeds, graph: str = MODEL) -> dict[str, np.ndarray]:
        """Outputs by name."""
        ...


def ends(contract: Mapping[str, Any]) -> dict[str, Ends]:
    """Every graph of a contract → its inputs and outputs; `model` is the last."""
    return {**contract.get("graphs", {}), MODEL: contract}


def answered(contract: Mapping[str, Any], run: Run, feeds: Feeds) -> dict[str, np.ndarray]:
    """A model's answer where each graph runs once, producers before consumers.

    Args:
        contract: The contract.
        run: Of the model.
        feeds: Of all inputs that no graph feeds, by name.
    """
    if "graphs" not in contract:
        return run(feeds)
    made: dict[str, dict[str, np.ndarray]] = {}
    for graph in ordered(contract):
        own = {each["name"] for each in ends(contract)[graph]["inputs"]}
        taken = {name: array for name, array in feeds.items() if name in own}
        for giver, pairs in contract["links"].get(graph, {}).items():
            taken |= {name: made[giver][output] for name, output in pairs.items()}
        made[graph] = run(taken, graph=graph)
    return made[MODEL]


def ordered(contract: Mapping[str, Any]) -> list[str]:
    """Graphs in an order in which they can run; those in a cycle are left out."""
    found: list[str] = []
    waiting = list(ends(contract))
    while ready := [each for each in waiting if not {*contract.get("links", {}).get(each, {})} - {*found}]:
        found += ready
        waiting = [each for each in waiting if each not in ready]
    return found


def given(contract: Mapping[str, Any]) -> list[str]:
    """Inputs of all graphs that no other graph feeds."""
    links = contract.get("links", {})
    fed = {graph: {name for pairs in links.get(graph, {}).values() for name in pairs} for graph in ends(contract)}
    return [
        each["name"]
        for graph, own in ends(contract).items()
        for each in own["inputs"]
        if each["name"] not in fed[graph]
    ]


def contradictions(contract: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with graphs and links: unknown names, values that do not fit, cycles, inputs that are fed twice or
    never.

    Args:
        contract: A contract whose keys and types are right.
    """
    graphs = ends(contract)
    if MODEL in contract.get("graphs", {}):
        yield f"graphs must have names of their own, got '{MODEL}', which inputs and outputs describe"
        return
    for graph, each in graphs.items():
        for kind in ("inputs", "outputs"):
            known = [value["name"] for value in each[kind]]
            if not known or len(set(known)) != len(known):
                yield f"{_of(graph)}{kind} must be at least one, each with a name of its own, got {known}"
    wrong = list(_links(contract, graphs))
    yield from wrong or [*_circles(contract), *_fed(contract, graphs)]


def _links(contract: Mapping[str, Any], graphs: Mapping[str, Ends]) -> Iterator[str]:
    """Links to graphs, inputs or outputs that do not exist, or between arrays of different types or shapes."""
    for taker, givers in contract.get("links", {}).items():
        for giver, pairs in givers.items():
            if lacking := [name for name in (taker, giver) if name not in graphs]:
                yield f"links must be of the graphs {', '.join(graphs)}, got '{lacking[0]}'"
                continue
            for name, output in pairs.items():
                taken = {each["name"]: each for each in graphs[taker]["inputs"]}.get(name)
                given = {each["name"]: each for each in graphs[giver]["outputs"]}.get(output)
                if taken is None or given is None:
                    yield f"links.{taker}.{giver} must feed an input by an output, got '{name}' by '{output}'"
                elif not _alike(taken, given):
                    got = [taken["dtype"], taken["shape"], given["dtype"], given["shape"]]
                    yield f"links.{taker}.{giver}.{name} must be of the type and shape of '{output}', got {got}"


def _circles(contract: Mapping[str, Any]) -> Iterator[str]:
    """Graphs that wait for each other: a cycle."""
    if waiting := sorted({*ends(contract)} - {*ordered(contract)}):
        yield f"links must lead from graph to graph and never back, got a circle of {', '.join(waiting)}"


def _fed(contract: Mapping[str, Any], graphs: Mapping[str, Ends]) -> Iterator[str]:
    """Inputs that two things feed; caches of other arrays than they are handed, and what nothing feeds while a model
    generates.
    """
    decoding = contract["decoding"]
    cache = decoding.get("cache", {}) if decoding["kind"] == "generation" else {}
    for graph in graphs:
        names = [name for pairs in contract.get("links", {}).get(graph, {}).values() for name in pairs]
        names += [*contract["states"], *cache] if graph == MODEL else []
        if twice := sorted({name for name in names if names.count(name) > 1}):
            yield f"{_of(graph)}inputs must be fed by one output each, got several for '{twice[0]}'"
        reader = decoding.get("reader", {})
        fed = {*names, *(decoding.get(key) for key in ("tokens", "keep") if graph == MODEL)}
        fed |= {reader["tokens"]} if reader.get("graph") == graph else set()
        lacking = [each["name"] for each in graphs[graph]["inputs"] if each["name"] not in fed]
        if decoding["kind"] == "generation" and lacking:
            yield f"{_of(graph)}inputs must be fed by cache, tokens or links, got nothing for '{lacking[0]}'"
    if decoding["kind"] == "generation":
        yield from _decoded(contract, graphs)


def _decoded(contract: Mapping[str, Any], graphs: Mapping[str, Ends]) -> Iterator[str]:
    """A cache whose arrays do not fit, and a reader that is not there."""
    decoding, cache = contract["decoding"], contract["decoding"]["cache"]
    ins, outs = ({each["name"]: each for each in contract[kind]} for kind in ("inputs", "outputs"))
    if len(set(cache.values())) != len(cache):
        yield f"decoding.cache must take an output for each input, got {cache}"
    for name, output in cache.items():
        if name in ins and output in outs and not _alike(ins[name], outs[output]):
            got = f"{ins[name]['shape']} and {outs[output]['shape']}"
            yield f"decoding.cache.{name} must be of the type and shape of '{output}', got {got}"
    reader = decoding.get("reader")
    if reader and (reader["graph"] not in contract.get("graphs", {}) or "begin" not in decoding):
        got = f"{reader} of {', '.join(contract.get('graphs', {})) or 'none'}"
        yield f"decoding.reader must be a graph beside {MODEL}, with a token to begin by, got {got}"


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether values may be the same array: sizes that both have are equal."""
    if one["dtype"] != other["dtype"] or len(one["shape"]) != len(other["shape"]):
        return False
    pairs = zip(one["shape"], other["shape"], strict=True)
    return all(mine == its or not (isinstance(mine, int) and isinstance(its, int)) for mine, its in pairs)


def _of(graph: str) -> str:
    return "" if graph == MODEL else f"graphs.{graph}."
