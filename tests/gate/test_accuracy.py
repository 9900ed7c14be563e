from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edgesft.errors import InputError
from edgesft.gate import accuracy
from edgesft.gate.accuracy import Evaluation, evaluate, evaluate_both, fallen, judge, paired
from edgesft.gate.artefact import GateArtefact, artefact
from edgesft.measure.bench.order import Order
from edgesft.measure.devices import HERE, Device
from edgesft.measure.driver import TIMEOUT_SECONDS, MeasureError
from edgesft.measure.replies import Loaded, Value
from edgesft.measure.runner import runner
from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec, ProviderSpec
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.base import Run
from edgesft.tasks.contract import Contract
from tests import tiny
from tests.gate.test_artefact import CONTRACT, save_moods
from tests.measure import models
from tests.test_architecture import loaded

ROWS = tiny.rows(60)
FORGOTTEN = ("good", "superb")
QUIET = Progress(quiet=True)
PROFILE = models.profile()


def order(profile: ProfileSpec = PROFILE, **changes: Any) -> Order:
    return Order([], profile, **{"providers": profile.providers[:1], **changes})


ORDER = order()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of text classifiers and files of rows; read only."""
    folder = tmp_path_factory.mktemp("accuracy")
    save_moods(folder / "whole")
    save_moods(folder / "forgetful", forget=FORGOTTEN)
    save_moods(folder / "turned", contract=Contract(CONTRACT.task, ("positive", "negative"), CONTRACT.options))
    tiny.write_rows(folder / "test.jsonl", ROWS)
    return folder


def forgets(row: Mapping[str, str]) -> bool:
    """Whether the forgetful model sees no mood in a row; of equal scores it then takes the first label."""
    return bool(set(row["text"].split()) & set(FORGOTTEN))


def ask(given: GateArtefact, rows: Path | None, progress: Progress = QUIET) -> Evaluation:
    return evaluate(given, rows, ORDER, progress)


def problem(act: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    return str(caught.value)


class TestTexts:
    """Rows that the task of a run's folder encodes."""

    def test_each_row_is_answered(self, home: Path) -> None:
        stream = io.StringIO()
        found = ask(artefact(home / "forgetful"), home / "test.jsonl", Progress(stream))
        expected = [not forgets(row) for row in ROWS]
        assert found.right is not None and found.right.tolist() == expected
        assert 0.5 < found.metrics["accuracy"].value == np.mean(expected) < 1
        assert found.metrics["accuracy"].lower < np.mean(expected) < found.metrics["accuracy"].upper
        assert {"accuracy", "f1_macro"} < set(found.metrics) and found.metric == "accuracy"
        assert found.predictions.shape == (60, 2)

    def test_a_candidate_that_lost_rows_fails(self, home: Path) -> None:
        candidate, baseline = (artefact(home / name) for name in ("forgetful", "turned"))
        both = evaluate_both(candidate, baseline, home / "test.jsonl", ORDER, QUIET)
        lost = sum(map(forgets, ROWS))
        found = paired(*both)
        assert found is not None
        assert (found.rows, found.lost, found.gained, found.both) == (60, lost, 0, 60 - lost)
        line = judge(*both, 0.01)
        assert (line.name, line.verdict, line.value) == ("accuracy", "fail", pytest.approx(lost / 60))
        # The labels are in another order here, which does not matter for any metric.
        drops = fallen(*both)
        assert drops["accuracy"].value == pytest.approx(lost / 60)
        assert 0 < drops["f1_macro"].lower < drops["f1_macro"].value < drops["f1_macro"].upper < 1
        assert judge(both[1], both[0], 0.0, "drop").verdict == "pass"

    def test_labels_must_be_the_same(self, home: Path, tmp_path: Path) -> None:
        other = GateArtefact("other", home / "whole/model.onnx", home, Contract(CONTRACT.task, ("a", "positive")))
        whole = artefact(home / "whole")
        text = problem(lambda: evaluate_both(other, whole, home / "test.jsonl", ORDER, QUIET))
        assert "only 'other' has 'a', only 'whole' has 'negative'" in text
        turned = artefact(home / "turned")
        text = problem(lambda: evaluate_both(turned, whole, tmp_path / "rows.npz", ORDER, QUIET))
        assert "labels in one order" in text and "positive, negative and negative, positive" in text
        other = GateArtefact("other", home / "whole/model.onnx", home, Contract("detection"))
        text = problem(lambda: evaluate_both(other, whole, home / "test.jsonl", ORDER, QUIET))
        assert "must be for the same task, got detection and text-classification" in text

    def test_rows_must_be_the_task_s(self, home: Path, tmp_path: Path) -> None:
        given = artefact(home / "whole")

        def told(*rows: dict[str, str]) -> str:
            return problem(lambda: ask(given, tiny.write_rows(tmp_path / "rows.jsonl", list(rows))))

        assert "column 'label', got 'text'" in told({"text": "good"})
        assert "must be one of negative, positive, got 'mixed'" in told({"text": "good", "label": "mixed"})
        assert "must not be blank, but is in row 2" in told(ROWS[0], {"text": " ", "label": "positive"})
        assert "no such file" in problem(lambda: ask(given, tmp_path / "none.jsonl"))
        assert "not valid JSON" in problem(lambda: ask(given, write(tmp_path / "cut.jsonl", '{"text": "go')))

    def test_texts_need_a_folder(self, home: Path) -> None:
        bare = artefact(home / "whole/model.onnx")
        text = problem(lambda: ask(bare, home / "test.jsonl"))
        assert "must go with a folder that has a contract.json" in text and "labels=classes" in text
        text = problem(lambda: ask(artefact(home / "whole"), None))
        assert "no recipe.yaml" in text and "--rows" in text

    def test_a_folder_must_be_whole(self, home: Path, tmp_path: Path) -> None:
        folder = save_moods(tmp_path / "folder")
        (folder / "contract.json").write_text(json.dumps({**CONTRACT.to_json(), "options": {}}))
        assert "must tell 'max_length'" in problem(lambda: ask(artefact(folder), home / "test.jsonl"))
        (folder / "contract.json").write_text(json.dumps(CONTRACT.to_json()))
        (folder / "tokenizer.json").unlink()
        assert "does not load" in problem(lambda: ask(artefact(folder), home / "test.jsonl"))


class Clerk:
    """In place of an agent with a model: answers the right label, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert feeds["input_ids"].shape[0] == 1
        self.asked += 1
        return {"logits": np.array([[0.0, 1.0]], np.float32)}


class TestRecipe:
    """Rows of the recipe that a run carried out."""

    @pytest.fixture(autouse=True)
    def clerk(self, monkeypatch: pytest.MonkeyPatch) -> Clerk:
        clerk = Clerk()

        @contextmanager
        def answering(*given: Any, **more: Any) -> Iterator[Run]:
            yield runner({"model": clerk})

        monkeypatch.setattr(accuracy, "answering", answering)
        return clerk

    @pytest.fixture
    def folder(self, home: Path, tmp_path: Path) -> Path:
        """A run's, with its data beside it."""
        for name, some in (("train", tiny.rows(100)[60:]), ("dev", ROWS[:7]), ("test", ROWS[:11])):
            tiny.write_rows(tmp_path / f"{name}.jsonl", some)
        folder = tmp_path / "run"
        folder.mkdir()
        for file in (home / "whole").iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        return folder

    def given(self, folder: Path, **data: Any) -> GateArtefact:
        (folder / "recipe.yaml").write_text(yaml.safe_dump({"version": 1, "seed": 3, "data": data, "stages": []}))
        return artefact(folder)

    def data(self, folder: Path, *names: str) -> dict[str, str]:
        return {
            split: str(folder.parent / f"{name}.jsonl") for split, name in zip(names[::2], names[1::2], strict=True)
        }

    def test_its_test_rows_come_first(self, folder: Path) -> None:
        splits = self.data(folder, "train", "train", "validation", "dev", "test", "test")
        (folder.parent / "train.jsonl").unlink()
        found = ask(self.given(folder, **splits), None)
        assert found.references.tolist() == [int(row["label"] == "positive") for row in ROWS[:11]]

    def test_then_those_that_it_decided_on(self, folder: Path) -> None:
        splits = self.data(folder, "train", "train", "validation", "dev")
        assert len(ask(self.given(folder, **splits), None).references) == 7
        del splits["validation"]
        assert len(ask(self.given(folder, **splits, validation=0.25), None).references) == 10

    def test_that_are_gone(self, folder: Path) -> None:
        splits = self.data(folder, "train", "train", "test", "gone")
        text = problem(lambda: ask(self.given(folder, **splits), None))
        assert "data.test of" in text and "gone.jsonl" in text and "--rows test.jsonl" in text

    def test_columns_are_called_as_there_or_as_the_task_does(self, folder: Path) -> None:
        splits, columns = self.data(folder, "train", "train"), {"text": "said", "label": "mood"}
        given = self.given(folder, **splits, columns=columns)
        named = [{"said": row["text"], "mood": row["label"], "text": "?"} for row in ROWS[:5]]
        place = tiny.write_rows(folder.parent / "named.jsonl", named)
        assert ask(given, place).right.tolist() == [row["label"] == "positive" for row in ROWS[:5]]
        assert len(ask(given, folder.parent / "dev.jsonl").references) == 7
        place = tiny.write_rows(folder.parent / "other.jsonl", [{"a": "good", "b": "positive"}])
        assert "'said' or 'text', 'mood' or 'label', got 'a', 'b'" in problem(lambda: ask(given, place))

    def test_wrong_recipes_are_named(self, folder: Path) -> None:
        text = problem(lambda: ask(self.given(folder, train=3), None))
        assert f"{folder / 'recipe.yaml'} data.train" in text

    def test_both_get_the_rows_of_the_candidate(self, folder: Path, home: Path, clerk: Clerk) -> None:
        candidate = self.given(folder, **self.data(folder, "train", "train", "test", "test"))
        for one, other in ((candidate, artefact(home / "turned")), (artefact(home / "turned"), candidate)):
            ours, theirs = evaluate_both(one, other, None, ORDER, QUIET)
            assert ours.right.tolist() == [not each for each in theirs.right]
        assert clerk.asked == 4 * 11


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def save_rows(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> GateArtefact:
    """A classifier of three classes by the greatest of `x`, (batch, 3)."""
    return artefact(models.save_product(tmp_path_factory.mktemp("linear") / "linear.onnx", width=3))


class TestTaskOfArrays:
    """Rows of a run whose model is the user's own: inputs, labels and metric are those of its contract."""

    ROWS = [{"a": [row, 1.0], "b": [0.5, row], "y": [row + 0.6, row + 0.9]} for row in range(4)]

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A run's whose model adds its two inputs."""
        ends = dict.fromkeys(("a", "b"), ("float", ("batch", 2))), {"logits": ("float", ("batch", 2))}
        models.save(tmp_path / "model.onnx", [("Add", ["a", "b"], ["logits"], {})], *ends)
        contract = Arrays(("a", "b"), metric="r2").contract([{**row, "label": row["y"]} for row in self.ROWS], {})
        (tmp_path / "contract.json").write_text(contract.text())
        recipe = {"version": 1, "data": {"train": "none.jsonl", "test": "test.jsonl", "columns": {"label": "y"}}}
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        tiny.write_rows(tmp_path / "test.jsonl", self.ROWS)
        return tmp_path

    def test_its_inputs_are_read_and_its_metric_decides(self, folder: Path) -> None:
        for rows in (None, folder / "test.jsonl"):
            found = ask(artefact(folder), rows)
            assert found.metric == "r2" and found.right is None
            assert 0.9 < found.metrics["r2"].value < 1

    def test_its_metric_is_known_before_any_row_is_answered(self, folder: Path) -> None:
        assert artefact(folder).metrics == ("r2",)

    def test_a_contract_without_them_is_refused(self, folder: Path) -> None:
        (folder / "contract.json").write_text(Contract("arrays", (), {"metric": "r2"}).text())
        assert "must tell 'inputs' for arrays" in problem(lambda: ask(artefact(folder), None))


class TestArrays:
    """Rows as any classifier takes them."""

    def test_each_row_is_answered(self, linear: GateArtefact, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        x, labels = rng.standard_normal((40, 3)).astype(np.float32), rng.integers(0, 3, 40).astype(np.int32)
        found = ask(linear, save_rows(tmp_path / "rows.npz", x=x, labels=labels))
        assert found.predictions == pytest.approx(x)
        assert found.right.tolist() == (x.argmax(axis=1) == labels).tolist()
        assert list(found.metrics) == ["accuracy"]
        assert found.metrics["accuracy"].value == np.mean(found.right)

    def test_rows_are_asked_one_by_one(self, tmp_path: Path) -> None:
        """In a batch this model would answer each row's distance from the others, as dynamic ranges would let it."""
        nodes = [("ReduceMean", ["x", "axes"], ["mean"], {}), ("Sub", ["x", "mean"], ["y"], {})]
        ends = {"x": ("float", ("batch", 3))}, {"y": ("float", ("batch", 3))}
        model = models.save(tmp_path / "centred.onnx", nodes, *ends, axes=np.array([0]))
        rows = save_rows(tmp_path / "rows.npz", x=np.eye(3, dtype=np.float32), labels=np.arange(3))
        assert not ask(artefact(model), rows).predictions.any()

    def test_a_row_that_the_model_refuses_is_named(self, tmp_path: Path) -> None:
        model = models.save_classifier(tmp_path / "table.onnx", rows=10)
        rows = save_rows(tmp_path / "rows.npz", ids=np.array([[1, 2], [3, 10]]), labels=np.array([0, 1]))
        text = problem(lambda: ask(artefact(model), rows))
        assert "rows must be what 'table.onnx' can run on, got for row 2" in text

    def test_a_model_of_another_provider_cannot_be_asked(self, linear: GateArtefact, tmp_path: Path) -> None:
        rows = save_rows(tmp_path / "rows.npz", x=np.eye(3, dtype=np.float32), labels=np.arange(3))
        profile = models.profile(providers=[{"name": "NoSuchExecutionProvider"}])
        with pytest.raises(MeasureError, match="NoSuchExecutionProvider"):
            evaluate(linear, rows, order(profile), QUIET)


class TestProvider:
    """Rows are answered where the order says, and not on the profile's first provider."""

    ASKED = ProviderSpec(name="NoSuchExecutionProvider", options={"chip": "57"})

    def test_rows_of_a_folder(self, home: Path) -> None:
        with pytest.raises(MeasureError, match="NoSuchExecutionProvider"):
            evaluate(artefact(home / "whole"), home / "test.jsonl", order(providers=[self.ASKED]), QUIET)

    def test_arrays(self, linear: GateArtefact, tmp_path: Path) -> None:
        rows = save_rows(tmp_path / "rows.npz", x=np.eye(3, dtype=np.float32), labels=np.arange(3))
        with pytest.raises(MeasureError, match="NoSuchExecutionProvider"):
            evaluate(linear, rows, order(providers=[self.ASKED]), QUIET)

    def test_options_and_limits_are_the_order_s(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[Any] = []

        @contextmanager
        def answering(*given: Any, **more: Any) -> Iterator[Run]:
            told.extend((*given[1:], more))
            yield runner({"model": Clerk()})

        monkeypatch.setattr(accuracy, "answering", answering)
        asked = order(providers=[self.ASKED], allow_cpu=True, time_limit=7.0)
        evaluate(artefact(home / "whole"), home / "test.jsonl", asked, QUIET)
        profile, device, more = told
        assert profile.providers == (self.ASKED, *PROFILE.providers) and device is HERE
        assert more == {"allow_cpu": True, "time_limit": 7.0}


class Model:
    """In place of an agent: answers with what it is fed."""

    inputs = (Value("x", "float32", ("batch", "classes")),)
    answer: Callable[[np.ndarray], np.ndarray] = staticmethod(lambda x: x)

    def __init__(self, threads: int, device: Device, *, timeout_seconds: float) -> None:
        assert (threads, device, timeout_seconds) == (PROFILE.threads, HERE, TIMEOUT_SECONDS)

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""

    def load(self, *given: Any, **more: Any) -> Loaded:
        return Loaded(1, None, None, None, self.inputs, (Value("y", "float32", ("batch", "classes")),))

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": self.answer(feeds["x"])}


class TestBadArrays:
    """What is no set of labelled rows, and answers that name no class."""

    @pytest.fixture(autouse=True)
    def model(self, monkeypatch: pytest.MonkeyPatch) -> type[Model]:
        own = type("Own", (Model,), {})
        monkeypatch.setattr("edgesft.measure.bench.order.Agent", own)
        return own

    X = np.eye(4, 3, dtype=np.float32)
    LABELS = np.arange(4) % 3

    def told(self, place: Path, **arrays: Any) -> str:
        rows = save_rows(place / "rows.npz", **arrays)
        return problem(lambda: ask(GateArtefact("it", Path("it.onnx")), rows))

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"x": X}, "must have a key for each input and 'labels', got 'x'\n"),
            ({"labels": LABELS}, "must have a key for each input and 'labels', got 'labels'\n"),
            ({"x": X, "labels": LABELS[:3]}, "an integer for each of the 4 rows, got int64 of shape [3]"),
            ({"x": X, "labels": LABELS / 2}, "an integer for each of the 4 rows, got float64 of shape [4]"),
            (
                {"x": X, "labels": np.eye(4, 3, dtype=int)},
                "an integer for each of the 4 rows, got int64 of shape [4, 3]",
            ),
            ({"x": X, "labels": LABELS + 1}, "'labels' must be from 0 to 2, the classes of 'y', got 3 in row 3"),
            ({"x": X, "labels": LABELS - 1}, "'labels' must be from 0 to 2, the classes of 'y', got -1 in row 1"),
            ({"x": X, "labels": np.array([{}] * 4)}, "must be an npz file that can be read"),
            ({"z": X, "labels": LABELS}, "'z' must be an input of the model"),
        ],
    )
    def test_arrays(self, tmp_path: Path, arrays: Mapping[str, Any], message: str) -> None:
        assert message in self.told(tmp_path, **arrays)

    def test_files(self, tmp_path: Path) -> None:
        it = GateArtefact("it", Path("it.onnx"))
        assert "no such file" in problem(lambda: ask(it, tmp_path / "none.npz"))
        assert "can be read" in problem(lambda: ask(it, write(tmp_path / "text.npz", "no archive")))
        whole = save_rows(tmp_path / "rows.npz", x=self.X, labels=self.LABELS).read_bytes()
        (tmp_path / "cut.npz").write_bytes(whole[:-30])
        assert "can be read" in problem(lambda: ask(it, tmp_path / "cut.npz"))
        (tmp_path / "spoilt.npz").write_bytes(whole.replace(self.X.tobytes(), b"?" * self.X.nbytes))
        assert "can be read" in problem(lambda: ask(it, tmp_path / "spoilt.npz"))

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (lambda x: x[0, :1], "a number for each class, [1, classes], got float32 of shape [1]"),
            (lambda x: x[np.newaxis], "a number for each class, [1, classes], got float32 of shape [1, 1, 3]"),
            (lambda x: x.astype(str), "a number for each class, [1, classes], got <U32 of shape [1, 3]"),
            (lambda x: x if x[0, 0] else x[:, :2], "in every row, got 3 and, in row 2, 2"),
            (lambda x: x / x[:, 1:2], "'it' must answer with numbers, got NaN in 3 of 4 rows, first in row 1"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:.*encountered in divide")
    def test_answers(self, tmp_path: Path, model: type[Model], answer: Any, message: str) -> None:
        model.answer = staticmethod(answer)
        assert message in self.told(tmp_path, x=self.X, labels=self.LABELS)

    def test_a_model_that_takes_labels_itself(self, tmp_path: Path, model: type[Model]) -> None:
        model.inputs = (*Model.inputs, Value("labels", "int64", ("batch",)))
        assert "got a model with an input of that name" in self.told(tmp_path, x=self.X, labels=self.LABELS)

    def test_both_must_tell_of_the_same_classes(self, tmp_path: Path, model: type[Model]) -> None:
        rows = save_rows(tmp_path / "rows.npz", x=self.X, labels=self.LABELS % 2)
        count = iter(range(8))
        model.answer = staticmethod(lambda x: x if next(count) < 4 else x[:, :2])
        one, other = (GateArtefact(name, Path(name)) for name in ("one", "other"))
        text = problem(lambda: evaluate_both(one, other, rows, ORDER, QUIET))
        assert "must have the same classes, got 3 from 'one' and 2 from 'other'" in text

    def test_numbered_requests_have_labels_too(self, tmp_path: Path) -> None:
        arrays = {f"{row}/x": self.X[row : row + 1] for row in range(4)}
        rows = save_rows(tmp_path / "rows.npz", **arrays, labels=np.array([0, 1, 2, 1], np.uint8))
        found = ask(GateArtefact("it", Path("it.onnx")), rows)
        assert found.right.tolist() == [True, True, True, False]


def overlap(predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """A metric of rows that may be half right."""
    return {"overlap": float(1 - np.abs(predictions - references).mean())}


def hits(predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """A metric that single rows have as 0 or 1, though it is not the share of the latter."""
    return {"hits": float((predictions == references).mean() ** 2)}


@pytest.mark.parametrize("scorer", [overlap, hits])
def test_what_is_no_share_of_right_rows_goes_by_its_bounds(scorer: Any) -> None:
    (metric,) = scorer(np.zeros(1), np.zeros(1))
    references = np.arange(100) % 2
    worse = np.where(np.arange(100) % 3 == 0, 1 - references if scorer is hits else 0.5, references)
    good, bad = (Evaluation(answers, references, scorer, metric) for answers in (references, worse))
    assert good.right is None or bad.right is None
    assert paired(bad, good) is None
    line = judge(bad, good, 0.01)
    expected = scorer(references, references)[metric] - scorer(worse, references)[metric]
    assert (line.name, line.verdict, line.value) == (metric, "fail", pytest.approx(expected))
    assert judge(good, bad, 0.0).verdict == "pass"
    assert judge(bad, good, expected).verdict == "pass"


def test_importing_it_is_light() -> None:
    assert loaded("import edgesft.gate.accuracy") == set()
