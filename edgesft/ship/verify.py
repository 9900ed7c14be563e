"""Verifies a bundle: complete, signed by whom it should be, consistent, and answering as it did when it was packed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesft.errors import UnavailableError
from edgesft.ship import canonical, context, contract, generation, golden, graph, integrity, ortfile, wiring
from edgesft.ship.contract import CONTRACT
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.golden import GOLDEN
from edgesft.ship.manifest import MANIFEST, SIGNATURE, Manifest
from edgesft.ship.raw import document
from edgesft.ship.raw.document import RAW, Raw
from edgesft.ship.session import Place
from edgesft.ship.sign import MOST_BYTES, Trust
from edgesft.ship.source import Source, open_source, unpacked
from edgesft.ship.variant import MODEL, Variant

NEEDED = ("MODEL_CARD.md", CONTRACT, GOLDEN, "lineage.json", "measurements.json", "required_operators.config")
"""Files that every bundle has."""


@dataclass
class Report:
    """What was found.

    Attributes:
        manifest: What the bundle says it is; None where that cannot be read.
        checks: What was looked at → `holds`, `fails` or why it was not looked at.
        findings: Everything that is wrong.
        not_run: Variant that the golden rows were not run on → why not: nothing is known of its answers.
        simulated: What stood in for the provider's hardware; None where nothing did.
    """

    manifest: Manifest | None = None
    checks: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    simulated: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "schema": "edgesft/verify",
            "schema_version": 2,
            "holds": self.holds,
            "name": self.manifest.name if self.manifest else None,
            "version": self.manifest.version if self.manifest else None,
            "checks": dict(self.checks),
            "not_run": dict(self.not_run),
            "simulated": self.simulated,
            "findings": [each.to_json() for each in self.findings],
        }

    def look(self, check: str, work: Callable[[], Sequence[Finding]]) -> bool:
        """Does a check, and whether it holds."""
        try:
            found = list(work())
        except RefusedError as error:
            found = list(error.findings)
        self.checks[check] = "fails" if found else "holds"
        self.findings += found
        return not found


def verify(
    bundle: Path,
    *,
    trust: Trust | None = None,
    rows: bool = True,
    place: Place | None = None,
    at_least: int = 1,
) -> Report:
    """Verifies a bundle. What comes first must hold before anything is made of what comes after it.

    Args:
        bundle: Folder or archive.
        trust: Who must have signed it; None does not ask.
        rows: Whether to run the golden rows.
        place: Where to run them; by default here, on the CPU provider.
        at_least: Lowest version of the bundle.

    Raises:
        InputError: There is no such bundle, or a key cannot be read.
        UnavailableError: model-signing or the provider is not there, or no variant is for it.
        MeasureError: The device of the place cannot be reached.
    """
    report, places, place = Report(), list[Source](), place or Place()

    def files() -> Sequence[Finding]:
        places.append(open_source(bundle))
        report.manifest, found = integrity.check(places[0])
        return found

    if not report.look("files", files) or report.manifest is None:
        return report
    source, manifest = places[0], report.manifest
    report.look("version", lambda: _version(manifest, at_least))
    if trust:
        report.look("signature", lambda: _signature(source, manifest, trust))
    else:
        report.checks["signature"] = "not checked: no key was given" if SIGNATURE in source.files else "not signed"
    if not report.holds:
        return report
    said = dict[str, Any]()
    if report.look("contract", lambda: _contract(source, manifest, said)):
        report.look("models", lambda: models(source, said, manifest.variants))
    raw = list[Raw]()
    if report.holds and RAW in manifest.files:
        report.look("raw", lambda: _raw(source, manifest, raw))
    if not rows or not report.holds:
        report.checks["golden"] = "not run"
        return report
    if report.look("golden", lambda: _golden(source, manifest, said, place, report)):
        report.checks["golden"] = _held(report, len(manifest.variants), place)
    if raw and report.holds:
        report.look("raw", lambda: _raw_golden(source, manifest, raw[0], place, report))
    return report


def _held(report: Report, models: int, place: Place) -> str:
    """What the golden rows prove: of how many models, and on what."""
    told = "holds"
    if report.not_run:
        told += f" for {models - len(report.not_run)} of {models} models"
    if place != Place():
        told += f", on {place}"
    return f"{told}, which was {report.simulated}, not hardware" if report.simulated else told


def _version(manifest: Manifest, at_least: int) -> Sequence[Finding]:
    if manifest.version >= at_least:
        return []
    message = f"version must be at least {at_least}, got {manifest.version}: an older bundle"
    return [Finding(message, "the bundle that was packed last", MANIFEST, "manifest")]


def _signature(source: Source, manifest: Manifest, trust: Trust) -> Sequence[Finding]:
    from edgesft.ship import seal, sign

    if SIGNATURE not in source.files:
        raise RefusedError(
            Finding(
                "must be there because a key was given; got no signature",
                "do not trust this bundle",
                SIGNATURE,
                "signature",
            )
        )
    if source.files[SIGNATURE] > MOST_BYTES:
        message = f"must have at most {MOST_BYTES} bytes, got {source.files[SIGNATURE]}"
        raise RefusedError(Finding(message, None, SIGNATURE, "signature"))
    sign.verify(source.read(SIGNATURE), seal.signed(source, manifest), manifest.name, trust)
    return []


def _contract(source: Source, manifest: Manifest, said: dict[str, Any]) -> Sequence[Finding]:
    """Whether the files are there that every bundle has, and the contract agrees with itself."""
    if lacking := [name for name in NEEDED if name not in manifest.files]:
        return [
            Finding("must be a file of every bundle, got none", "pack the run again", name, "missing")
            for name in lacking
        ]
    read = canonical.load(source.read(CONTRACT), CONTRACT)
    if wrong := contract.problems(read):
        return [Finding(message, "pack the run again", CONTRACT, "contract") for message in wrong]
    said |= read
    tokenizer = read["preparation"].get("tokenizer")
    if tokenizer and tokenizer not in manifest.files:
        return [
            Finding(
                f"preparation.tokenizer must be a file of the bundle, got '{tokenizer}'", None, CONTRACT, "contract"
            )
        ]
    return []


def models(source: Source, said: Mapping[str, Any], variants: Sequence[Variant]) -> Sequence[Finding]:
    """Whether every model is what its variant and the contract say, and reads no file outside the bundle."""
    found, wanted = list[Finding](), {*wiring.ends(said)}
    for variant in variants:
        if {*variant.parts} != wanted:
            message = (
                f"variant '{variant.name}' must have the graphs {', '.join(sorted(wanted))}, which {CONTRACT} has; "
            )
            message += f"got {', '.join(sorted(variant.parts))}"
            found.append(Finding(message, "pack the run again", MANIFEST, "model"))
            continue
        for name, file in variant.parts.items():
            found += _graph(source, said, variant, name, file)
    return found


def _graph(source: Source, said: Mapping[str, Any], variant: Variant, name: str, file: str) -> Sequence[Finding]:
    """What is wrong with a graph of a variant."""
    reader = ortfile.read if variant.form == "ort" else graph.read
    try:
        told = reader(source.view(file), file)
    except RefusedError as error:
        return error.findings
    found = []
    if variant.static and any(not isinstance(axis, int) for each in told.inputs for axis in each.shape):
        found.append(Finding("must have no free axis, its variant is static; got one", None, file, "model"))
    found += context.disagreements(variant, told)
    outside, fixed = graph.astray(told, [file, *variant.files]), variant.fixed if name == MODEL else {}
    return [*found, *(outside or contract.disagreements(said, told, file, fixed, name))]


def _raw(source: Source, manifest: Manifest, read: list[Raw]) -> Sequence[Finding]:
    """Whether the raw model is what its file says; what that says goes into `read`."""
    read.append(document.load(canonical.load(source.read(RAW, golden.MOST_BYTES), RAW, "golden")))
    return document.check(source, read[0], manifest.files)


def _raw_golden(source: Source, manifest: Manifest, raw: Raw, place: Place, report: Report) -> Sequence[Finding]:
    """Whether the raw model answers as it did, where the place can run it."""
    if why := raw.variant.misfit(place.device, place.provider):
        report.not_run[raw.variant.name] = why
        return []
    rows, wanted = raw.rows(), {name: manifest.files[name].sha256 for name in raw.variant.files}
    with (
        tempfile.TemporaryDirectory() as empty,
        unpacked(source, wanted, Path(empty) / "models") as folder,
        place.running(folder, raw.variant) as (run, _),
    ):
        return rows.findings(raw.variant, generation.ONCE, run, place.provider)


def _golden(
    source: Source, manifest: Manifest, said: Mapping[str, Any], place: Place, report: Report
) -> Sequence[Finding]:
    """Whether every variant that the place can run answers as it did.

    Raises:
        UnavailableError: It can run none.
    """
    told = golden.load(canonical.load(source.read(GOLDEN, golden.MOST_BYTES), GOLDEN, "golden"))
    if wrong := told.widths(said["decoding"]) or told.shaped(said):
        return wrong
    device, provider = place.device, place.provider
    report.not_run = {each.name: why for each in manifest.variants if (why := each.misfit(device, provider))}
    running = [each for each in manifest.variants if each.name not in report.not_run]
    if lacking := [each for each in manifest.variants if each.golden not in told.tolerances]:
        message = f"must have outputs of the precision '{lacking[0].golden}' of variant '{lacking[0].name}', got none"
        return [Finding(message, "pack the run again", GOLDEN, "golden")]
    if not running:
        why = "; ".join(f"{name}: {reason}" for name, reason in report.not_run.items())
        message = f"a variant must fit {place}, onnxruntime {device.runtime} on {device.architecture}, got none: {why}"
        raise UnavailableError(message, "--provider, --device")
    wanted = {name: manifest.files[name].sha256 for each in running for name in each.files}
    found = list[Finding]()
    with tempfile.TemporaryDirectory() as empty, unpacked(source, wanted, Path(empty) / "models") as folder:
        for variant in running:
            try:
                with place.running(folder, variant) as (run, report.simulated):
                    found += told.findings(variant, said, run, provider)
            except RefusedError as error:
                found += error.findings
    return found
