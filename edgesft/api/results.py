"""The results of a run: as values, and as files in its folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft import __version__
from edgesft.api.documents import framed
from edgesft.budget.verdict import Verdict, worst
from edgesft.errors import UnavailableError
from edgesft.pipeline.outcome import Outcome
from edgesft.progress import Progress
from edgesft.report import results, table
from edgesft.report.lines import clean
from edgesft.spec.profile import SessionSpec
from edgesft.stages.artefact import CONTRACT
from edgesft.store.keys import key
from edgesft.store.store import Store, write_json

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RESULTS = "results.json"
RECIPE = "recipe.yaml"
REPORT = "report.html"


@dataclass(frozen=True)
class ProfileResult:
    """The result of a run on one profile.

    Attributes:
        folder: Where `results.json` and `model.onnx` are.
        results: What `results.json` holds.
    """

    folder: Path
    results: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"ProfileResult({self.verdict!r}, folder={str(self.folder)!r})"

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail` or `inconclusive`: the worst of the budget's lines."""
        verdict: Verdict = self.results["verdict"]
        return verdict

    def table(self, width: int | None = None) -> str:
        """Stages and budget lines as plain text, `width` columns wide."""
        return table.render(self.results, width)

    def _repr_html_(self) -> str:
        return framed(table.tables(self.results))

    def model(self) -> InferenceSession:
        """The final model on the profile's provider, threads and session.

        Raises:
            UnavailableError: The provider is not in this environment.
        """
        from edgesft.measure import agent

        profile, file = self.results["environment"]["profile"], str(self.folder / "model.onnx")
        session = SessionSpec.model_validate(profile.get("session") or {})  # results of before have none
        options = agent.session_options(file, profile["threads"], session.optimisation, session.entries)
        try:
            return agent.create_session(file, profile["providers"], options)
        except agent.Refusal as refusal:
            raise UnavailableError(str(refusal), "edgesft doctor") from refusal


@dataclass(frozen=True)
class Result:
    """The result of a run: one for each profile of the recipe, in the recipe's order."""

    profiles: Mapping[str, ProfileResult]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all profiles."""
        return worst(result.verdict for result in self.profiles.values())

    def table(self, width: int | None = None) -> str:
        """The tables of all profiles as plain text."""
        return "\n".join(result.table(width) for result in self.profiles.values())

    def _repr_html_(self) -> str:
        return "".join(result._repr_html_() for result in self.profiles.values())

    def model(self, profile: str | None = None) -> InferenceSession:
        """The final model of a profile, by default the first."""
        return self.profiles[profile or next(iter(self.profiles))].model()


def write(
    outcome: Outcome,
    folder: Path,
    tuning: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
    command: Sequence[str] = (),
) -> ProfileResult:
    """Leaves a run's results in a folder: `results.json`, its page, `recipe.yaml`, the model with all it needs.

    Args:
        outcome: What the run found.
        folder: Is made if it is not there.
        tuning: What was tried before.
        progress: Where to say that there is no page, and why.
        store: Keeps the page, so that the same results are not drawn again.
        command: What a person writes to run it again, settings last.
    """
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    # The receipt goes first and comes last: at no moment does it lie beside a model that it is not of.
    for receipt in (RESULTS, REPORT):
        (folder / receipt).unlink(missing_ok=True)
    for file in sorted(outcome.final.path.iterdir()):
        if file.is_file():
            _copy(file, folder / file.name)
    if outcome.calibration:
        _replace(folder / CONTRACT, outcome.final.contract.extended(outcome.calibration).text().encode())
    text = yaml.safe_dump(dict(outcome.recipe), sort_keys=False, allow_unicode=True)
    _replace(folder / RECIPE, text.encode())
    found = results.to_json(outcome)
    found |= ({"tuning": tuning} if tuning else {}) | ({"command": list(command)} if command else {})
    write_json(folder / RESULTS, found)
    result = ProfileResult(folder, json.loads((folder / RESULTS).read_text("utf-8")))
    _draw(result, progress or Progress(), store)
    return result


def _draw(result: ProfileResult, progress: Progress, store: Store | None) -> None:
    """Leaves the page of the results beside them."""
    from edgesft.report import formats, reading

    facts = {"page": formats.PAGES, "edgesft": __version__, "results": dict(result.results)}

    def page() -> str:
        return formats.run(result.results, formats.NAME)

    try:
        text = store.record(key(facts), page) if store else page()
        name = reading.named(result.folder / RESULTS, result.results)
        # The same results in another folder have the same page under another name.
        _replace(result.folder / REPORT, text.replace(formats.NAME, escape(clean(name))).encode())
    except UnavailableError as error:
        progress.say(f"warning: {error}")
    except Exception as error:
        # The results are whole and were costly: a picture of them that fails is no reason to lose the verdict.
        progress.say(f"warning: {REPORT} could not be made: {error!r}")


def _copy(source: Path, target: Path) -> None:
    handle, name = tempfile.mkstemp(prefix=target.name, dir=target.parent)
    os.close(handle)
    try:
        shutil.copyfile(source, name)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _replace(target: Path, content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / target.name
        part.write_bytes(content)
        os.replace(part, target)
