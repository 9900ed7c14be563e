"""Models compiled ahead of time by a provider for one chip, and checked against what their variant says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import StageError
from edgesft.ship.finding import Finding
from edgesft.ship.graph import Graph
from edgesft.ship.variant import Variant

if TYPE_CHECKING:
    from edgesft.measure.devices import Device
    from edgesft.measure.driver import Agent
    from edgesft.spec.profile import ProviderSpec, SessionSpec
    from edgesft.store.store import Store
    from edgesft.tasks.base import Batch

KEY = "edgesft.compiled"
"""Entry of a compiled file's metadata that says for what it was compiled, as its variant does."""

MODEL = "model.onnx"

MOST_EMBEDDED_BYTES = 1 << 30
"""A model of more bytes than these has what was compiled of it in a file beside it: ONNX files end at 2 GiB, and a
compiled model may be larger than its source."""

EXACT = 1e-5
"""Share of an output's largest magnitude by which a compiled file may answer otherwise than the session that wrote it
(the HTP's simulator answers with the same bits)."""


@dataclass(frozen=True)
class Target:
    """What is compiled for, and where.

    Attributes:
        provider: With the option that names the chip.
        threads: Of the session that compiles.
        device: Where the provider is; of its kinds an interpreter alone, for the file is written there.
        session: How else that is made: as what was measured.
    """

    provider: ProviderSpec
    threads: int
    device: Device
    session: SessionSpec

    @property
    def chip(self) -> str:
        """The chip.

        Raises:
            StageError: The provider compiles nothing ahead, or does not say for what.
        """
        from edgesft.measure.providers import PROVIDERS

        name, known = self.provider.name, PROVIDERS.get(self.provider.name)
        if known is None or not known.context:
            raise StageError(f"{name} does not compile ahead of time")
        if not known.chip:
            raise StageError(
                f"{name} does not tell for which chip it compiles, so a device could not choose the right file"
            )
        if not self.provider.options.get(known.chip):
            raise StageError(f"{name} must be told the chip, got no option {known.chip}: --chip")
        return self.provider.options[known.chip]


def make(source: Path, target: Target, requests: Sequence[Batch], store: Store) -> tuple[Path, Mapping[str, str]]:
    """The compiled model of a file, from the store where it is there: compiling twice need not give the same bytes.

    Args:
        source: ONNX file.
        target: What to compile for.
        requests: Real ones, already of the shapes that the file takes; the compiled file must answer them as the
            session does that compiled it.
        store: Keeps it by the source's bytes, the provider with its options, and all versions.

    Returns:
        The file, and what the variant says of it (`Variant.compiled`).

    Raises:
        StageError: The provider cannot compile it, or what it compiled answers otherwise.
        MeasureError: The device cannot be reached, or the provider took no node.
    """
    from edgesft.measure.devices import Interpreter
    from edgesft.measure.driver import Agent
    from edgesft.measure.model.file import inspect
    from edgesft.measure.providers.find import lacking
    from edgesft.store.keys import key

    chip, name, file = target.chip, target.provider.name, inspect(source)
    if not isinstance(target.device, Interpreter):
        raise StageError(f"{target.device} must be an interpreter here to compile on: the file is written there")
    with Agent(target.threads, target.device) as agent:
        info = agent.info()
        if why := lacking(name, info):
            raise StageError(f"{why}; --device names an interpreter that has it")
        plugin = info["plugins"].get(name, {"package": f"onnxruntime {info['runtime']}", "sdk": None})
        said = {"chip": chip, "package": plugin["package"], "runtime": info["runtime"], "sdk": plugin["sdk"] or ""}
        apart = file.size_bytes > MOST_EMBEDDED_BYTES
        facts: dict[str, Any] = {
            "form": 1,
            "source": file.sha256,
            "apart": apart,
            "provider": target.provider.model_dump(),
            **said,
        }
        if told := target.session.told:  # Only where there is one, so that what was compiled before is still known.
            facts["session"] = told
        folder = store.make(
            key({"context": facts}), lambda out, _: _compile(agent, source, target, said, requests, out, apart=apart)
        )
    return folder / MODEL, json.loads((folder / "compiled.json").read_text("utf-8"))


def _compile(
    agent: Agent,
    source: Path,
    target: Target,
    said: Mapping[str, str],
    requests: Sequence[Batch],
    out: Path,
    *,
    apart: bool,
) -> None:
    """Fills the store's folder; the session that compiles tells what the file must answer."""
    from edgesft.measure.driver import Agent
    from edgesft.measure.model.file import inspect
    from edgesft.measure.parity import compare
    from edgesft.ship import graph

    file, spec = out / MODEL, target.provider
    mode = "0" if apart else "1"
    session = target.session.having(
        {"ep.context_enable": "1", "ep.context_file_path": str(file), "ep.context_embed_mode": mode}
    )
    # Providers name what they compile after the model's path, and the names are part of the bytes.
    nameless = len(inspect(source).files) == 1
    agent.load(source, [spec], target.threads, session=session, nameless=nameless)
    expected = [agent.run(request) for request in requests]
    if not file.is_file():
        raise StageError(f"{spec.name} wrote nothing that was compiled")
    contexts = graph.read(memoryview(file.read_bytes()), MODEL).contexts
    if not contexts:
        raise StageError(f"{spec.name} compiled no node of it")
    done = {**said, "sdk": contexts[0].sdk or said["sdk"]}
    _sign(file, source, done)
    (out / "compiled.json").write_text(json.dumps(done, sort_keys=True), "utf-8")
    with Agent(target.threads, target.device) as fresh:
        fresh.load(file, [spec], target.threads)
        found = compare(expected, [fresh.run(request) for request in requests], None)
    if any(each.mismatch or each.relative > EXACT for each in found.outputs):
        got = found.worst.mismatch or f"off by {found.worst.relative:.2g}"
        raise StageError(f"what {spec.name} compiled must answer as the session that compiled it, got {got}")


def _sign(file: Path, source: Path, said: Mapping[str, str]) -> None:
    """Writes into a compiled file for what it is, and which axes its source had free."""
    import onnx

    from edgesft.measure.model.fixed import OWN

    model, before = (onnx.load(str(each), load_external_data=False) for each in (file, source))
    ours = {each.key: each.value for each in before.metadata_props if each.key.startswith(OWN)}
    known = {each.key for each in model.metadata_props}
    for name, value in {**ours, KEY: json.dumps(said, sort_keys=True)}.items():
        if name not in known:
            model.metadata_props.add(key=name, value=value)
    file.write_bytes(model.SerializeToString(deterministic=True))


def disagreements(variant: Variant, told: Graph) -> Iterator[Finding]:
    """Where a file and its variant say other things of what was compiled; from the file's bytes alone."""

    def wrong(message: str) -> Finding:
        return Finding(message, "do not trust this bundle", variant.file, "model")

    if variant.form != "context":
        if told.contexts:
            yield wrong(f"must hold nothing compiled, its variant is of the form {variant.form}; got an EPContext node")
        return
    if not told.contexts:
        yield wrong("must have a node that was compiled, got no EPContext")
    if (got := told.metadata.get(KEY, "nothing")) != json.dumps(dict(variant.compiled), sort_keys=True):
        yield wrong(f"must be compiled for what the manifest says, {json.dumps(dict(variant.compiled))}, got {got}")
    for each in told.contexts:
        if each.source and each.source not in variant.providers:
            yield wrong(f"must be compiled by {variant.providers[0]}, got {each.source}")
        if each.sdk and each.sdk != variant.compiled["sdk"]:
            yield wrong(f"must be compiled by version {variant.compiled['sdk']} of its libraries, got {each.sdk}")
