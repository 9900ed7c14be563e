"""The whole job in one call, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft import __version__
from edgesft.api.documents import framed
from edgesft.budget.verdict import Verdict, worst
from edgesft.errors import UnavailableError
from edgesft.measure.devices import HERE, Device
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.outcome import Outcome
from edgesft.progress import Progress
from edgesft.report import results, table
from edgesft.report.lines import clean
from edgesft.stages.artefact import CONTRACT
from edgesft.store.disk import guarded, require_writable
from edgesft.store.keys import key
from edgesft.store.store import Store, write_json

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from edgesft.measure.generation import Drawn, Said
    from edgesft.measure.synthesis import Spoken
    from edgesft.pipeline.tune import Tune
    from edgesft.ship.pack import Packed
    from edgesft.ship.session import Place
    from edgesft.ship.sign import Trust
    from edgesft.ship.verify import Report

RESULTS = "results.json"
RECIPE = "recipe.yaml"
REPORT = "report.html"
LOG = "log.txt"


@dataclass(frozen=True)
class ProfileResult:
    """What a run found on one profile.

    Attributes:
        folder: Where `results.json` and `model.onnx` are.
        results: What `results.json` holds.
    """

    folder: Path
    results: Mapping[str, Any]

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
        """The final model on the profile's provider and threads.

        Raises:
            UnavailableError: The provider is not in this environment.
        """
        from edgesft.measure import agent

        profile, file = self.results["environment"]["profile"], str(self.folder / "model.onnx")
        try:
            return agent.create_session(file, profile["providers"], agent.session_options(file, profile["threads"]))
        except agent.Refusal as refusal:
            raise UnavailableError(str(refusal), "edgesft doctor") from refusal


@dataclass(frozen=True)
class Result:
    """What a run found: one result for each profile of the recipe, in its order."""

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


def run(
    recipe: str | Path,
    settings: Sequence[str] = (),
    *,
    output: str | Path | None = None,
    tune: Tune | None = None,
    store: str | Path | None = None,
    device: Device = HERE,
    progress: Progress | None = None,
) -> Result:
    """Runs a recipe: fine-tune, compress, export, measure, judge.

    Finished stages are taken from the store; a killed run goes on where it was.

    Args:
        recipe: Recipe file.
        settings: `a.b=c` values that replace what the file says.
        output: Folder for the results; by default `runs/<name>`.
        tune: Tries settings of the finetune stage first, and takes the best where it is better for sure.
        store: Folder of the store; by default `EDGESFT_STORE` or the platform's cache folder.
        device: Where models are measured, and answer the rows (`measure.devices.find`); by default here.
        progress: Where to tell what goes on; by default standard error.

    Raises:
        InputError: Everything wrong with the recipe and what it names; nothing was written.
        UnavailableError: This environment cannot do it; finished stages are kept.
    """
    from edgesft.pipeline.preflight import preflight
    from edgesft.pipeline.reading import warnings
    from edgesft.pipeline.run import run as run_job

    progress = progress or Progress()
    kept, tuning = Store(Path(store) if store else None), None
    if tune is not None:
        from edgesft.pipeline.tune import tune as try_settings

        tuning = try_settings(Path(recipe), tune, settings, kept, progress)
        progress.say(f"tuning: {tuning['reason']}")
        settings = [*settings, *tuning["arguments"]]
    checked = check(Path(recipe), settings, kept)
    folder = Path(output) if output else Path("runs") / (checked.recipe.name or Path(recipe).stem)
    for warning in checked.warnings:
        progress.say(f"warning: {warning}")
    with guarded(folder, kept.root):
        jobs = Job.each(checked, kept, progress, device)
        for job in jobs:
            preflight(job)
        require_writable(folder)
        progress.log(folder / LOG)
        unread = warnings(jobs[0])
        for warning in unread:
            progress.say(f"warning: {warning}")
        found = {}
        for job in jobs:
            place = folder if len(jobs) == 1 else folder / job.profile.name
            found[job.profile.name] = write(run_job(job, (*checked.warnings, *unread)), place, tuning, progress, kept)
    return Result(found)


def generate(
    run: str | Path,
    prompt: str | Sequence[Mapping[str, str]],
    max_tokens: int = 128,
    *,
    threads: int = 1,
    told: Callable[[str], None] = lambda _: None,
    **sampling: Any,
) -> Said:
    """Lets the model of a run of text-generation or text-to-text answer; greedily unless `sampling` says otherwise.

    Args:
        run: Folder that the run left.
        prompt: What is asked, or messages of {role, content}.
        max_tokens: Of the answer at most.
        threads: Of the runtime.
        told: Called with each new piece of the text.
        sampling: Fields of `edgesft.measure.generation.Sampling`: `temperature`, `top_k`, `top_p`, `seed`.

    Raises:
        InputError: There is no such model, nothing is asked, or more than it can remember.
    """
    from edgesft.measure.generation import Sampling, Speaker

    return Speaker.of(Path(run), threads).say(prompt, max_tokens, Sampling(**sampling), told)


def draw(
    run: str | Path,
    count: int = 16,
    seed: int = 0,
    *,
    label: str | None = None,
    steps: int | None = None,
    threads: int = 1,
) -> Drawn:
    """Makes pictures by the model that a run of image-generation left.

    Args:
        run: Folder that the run left.
        count: How many.
        seed: The same one makes the same pictures.
        label: Class of all of them, where the model is told it; by default each in turn.
        steps: Of a diffusion model, inferences of a picture; by default those of the recipe.
        threads: Of the runtime.

    Raises:
        InputError: There is no such model, or it has no such class or steps.
    """
    from edgesft.measure.generation import Painter

    return Painter(Path(run), threads).draw(count, seed, label=label, steps=steps)


def speak(run: str | Path, text: str, speaker: str | None = None, *, tempo: float = 1.0, threads: int = 1) -> Spoken:
    """Lets the model that a run of text-to-speech left say a text; `save(path)` of what it returns writes a WAV file.

    Args:
        run: Folder that the run left.
        text: What to say.
        speaker: Who says it, where the model has several voices.
        tempo: How many times as fast as usual, 0.25 to 4.
        threads: Of the runtime.

    Raises:
        InputError: There is no such model or speaker, or the text cannot be said.
    """
    from edgesft.measure.synthesis import Voice

    return Voice.of(Path(run), threads).say(text, speaker, tempo)


def pack(
    run: str | Path, output: str | Path | None = None, *, progress: Progress | None = None, **order: Any
) -> Packed:
    """Packs what a run left into a bundle for devices, by default `<run>-bundle.zip` beside it.

    Args:
        run: Folder that the run left.
        output: Folder or `.zip` to make.
        progress: Where to tell what goes on; by default standard error.
        order: The other fields of `edgesft.ship.pack.Order`: `version`, `variants`, `signer`, …

    Raises:
        InputError: What is asked for cannot be; nothing was written.
        RefusedError: The model does not keep its own contract, or a variant answers otherwise.
        UnavailableError: The disk is full, or model-signing is not installed.
    """
    from edgesft.ship.pack import Order
    from edgesft.ship.pack import pack as make

    return make(Order(Path(run), Path(output) if output else None, **order), progress)


def verify(
    bundle: str | Path,
    *,
    trust: Trust | None = None,
    rows: bool = True,
    place: Place | None = None,
    at_least: int = 1,
) -> Report:
    """Verifies a bundle; `holds` tells whether nothing is wrong, and `findings` what is.

    Args:
        bundle: Folder or archive.
        trust: Who must have signed it; None does not ask.
        rows: Whether to run the golden rows.
        place: On which provider, with which options and of which device; by default the CPU's, here.
        at_least: Lowest version of the bundle.

    Raises:
        InputError: There is no such bundle, or a key cannot be read.
        UnavailableError: model-signing is not installed.
    """
    from edgesft.ship.verify import verify as check

    return check(Path(bundle), trust=trust, rows=rows, place=place, at_least=at_least)


def write(
    outcome: Outcome,
    folder: Path,
    tuning: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> ProfileResult:
    """Leaves a run's results in a folder: `results.json`, its page, `recipe.yaml`, the model with all it needs.

    Args:
        outcome: What the run found.
        folder: Is made if it is not there.
        tuning: What was tried before.
        progress: Where to say that there is no page, and why.
        store: Keeps the page, so that the same results are not drawn again.
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
    found = results.to_json(outcome) | ({"tuning": tuning} if tuning else {})
    write_json(folder / RESULTS, found)
    result = ProfileResult(folder, json.loads((folder / RESULTS).read_text("utf-8")))
    _draw(result, progress or Progress(), store)
    return result


def _draw(result: ProfileResult, progress: Progress, store: Store | None) -> None:
    """Leaves the page of the results beside them."""
    from edgesft.report import reading, told

    facts = {"page": told.PAGES, "edgesft": __version__, "results": dict(result.results)}

    def page() -> str:
        return told.run(result.results, told.NAME)

    try:
        text = store.record(key(facts), page) if store else page()
        name = reading.named(result.folder / RESULTS, result.results)
        # The same results in another folder have the same page under another name.
        _replace(result.folder / REPORT, text.replace(told.NAME, escape(clean(name))).encode())
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
