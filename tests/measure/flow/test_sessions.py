from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesft.data.media.image import Pipeline
from edgesft.errors import InputError, UnavailableError
from edgesft.measure import agent
from edgesft.measure.flow import flow_of
from edgesft.spec.profile import ProviderSpec
from tests.measure.models import save_image, save_product


class Rows:
    """A number → a vector of it, and back."""

    def before(self, row: float) -> dict[str, np.ndarray]:
        return {"x": np.full((1, 4), row, np.float32)}

    def after(self, outputs: dict[str, np.ndarray]) -> float:
        return float(outputs["y"].sum())


def test_rows_go_through_the_sessions_of_a_file(tmp_path: Path) -> None:
    with flow_of(save_product(tmp_path / "m.onnx"), Rows(), sessions=2, providers=["cpu"]) as flow:
        flow.warm_up(0)
        for row in range(20):
            flow.submit(row, block=True)
    assert {outcome.number: outcome.value for outcome in flow} == {row: 4.0 * row for row in range(20)}


def test_a_pipeline_that_ships_answers_as_in_a_loop(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    rows = []
    for shade in range(0, 250, 50):
        file = tmp_path / f"{shade}.png"
        image.new("RGB", (10, 12), (shade, 255 - shade, 40)).save(file)
        rows.append({"image": str(file)})
    options = {
        **{"inputs": ["pixels"], "labels": [], "resize": [8, 8], "crop": None, "resample": "bilinear"},
        **{"scale": 1 / 255, "mean": None, "std": None, "colour": "RGB", "layout": "NCHW", "dtype": "float32"},
    }
    with flow_of(save_image(tmp_path / "m.onnx"), Pipeline(str(tmp_path), options)) as flow:
        alone = flow.loop([*rows, {"picture": "none"}])
        for row in (*rows, {"picture": "none"}):
            flow.submit(row, block=True)
    outcomes = sorted(flow, key=lambda outcome: outcome.number)
    assert [outcome.value for outcome in outcomes] == [outcome.value for outcome in alone]
    assert "must have 'image'" in str(outcomes[-1].error) and outcomes[0].value["score"] > 0


def test_every_session_is_its_own_and_never_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Session:
        def __init__(self, providers: list[dict[str, Any]], threads: int) -> None:
            self.providers, self.threads, self.fallback = providers, threads, True
            made.append(self)

        def disable_fallback(self) -> None:
            self.fallback = False

        def get_providers(self) -> list[str]:
            return [provider["name"] for provider in self.providers]

        def get_outputs(self) -> list[Any]:
            return [SimpleNamespace(name="y")]

        def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [feeds["x"]]

    def create(model: str, providers: list[dict[str, Any]], options: Any) -> Session:
        return Session(providers, options.intra_op_num_threads)

    monkeypatch.setattr(agent, "create_session", create)
    asked = ProviderSpec(name="XnnpackExecutionProvider", options={"a": "b"})
    model = save_product(tmp_path / "m.onnx")
    with flow_of(model, Rows(), sessions=3, threads=2, providers=[asked, "cpu"]) as flow:
        flow.warm_up(1)
    assert len(made) == 3 and not any(session.fallback for session in made)
    assert made[0].threads == 2
    assert made[0].providers == [{"name": asked.name, "options": {"a": "b"}}, {"name": agent.CPU, "options": {}}]


def test_sessions_of_their_own_providers_share_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session's first inference waits for the others': a session that got no row would hold them for ever."""
    meeting, made, create = threading.Barrier(3), list[list[str]](), agent.create_session

    class Meeting:
        def __init__(self, session: Any) -> None:
            self.session, self.met = session, False

        def __getattr__(self, name: str) -> Any:
            return getattr(self.session, name)

        def run(self, *arguments: Any) -> Any:
            if not self.met:
                meeting.wait(20)
            self.met = True
            return self.session.run(*arguments)

    def creating(model: str, providers: list[dict[str, Any]], options: Any) -> Any:
        made.append([provider["name"] for provider in providers])
        return Meeting(create(model, providers, options))

    monkeypatch.setattr(agent, "create_session", creating)
    sessions = ["cpu", ProviderSpec(name=agent.CPU), ["cpu", "dml"]]
    with flow_of(save_product(tmp_path / "m.onnx"), Rows(), sessions=sessions) as flow:
        for row in range(20):
            flow.submit(row, block=True)
    assert made == [[agent.CPU], [agent.CPU], [agent.CPU, "DmlExecutionProvider"]]
    assert {outcome.number: outcome.value for outcome in flow} == {row: 4.0 * row for row in range(20)}


def test_the_provider_of_each_session_must_be_there(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    captured = ProviderSpec(name="CUDAExecutionProvider", options={"enable_cuda_graph": "1"})
    with pytest.raises(InputError, match="option 'enable_cuda_graph' of CUDAExecutionProvider must be off in a flow"):
        flow_of(model, Rows(), providers=[captured])
    with pytest.raises(UnavailableError, match="DmlExecutionProvider is not in this onnxruntime"):
        flow_of(model, Rows(), sessions=["cpu", "dml"])
    with pytest.raises(InputError, match="providers must be left out where sessions name theirs, got \\['cpu'\\]"):
        flow_of(model, Rows(), sessions=["cpu"], providers=["cpu"])
    for sessions in ([], "cpu", ["cpu", []], ["cpu", 1]):
        with pytest.raises(InputError, match="sessions must name a provider of each, got "):
            flow_of(model, Rows(), sessions=sessions)


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    with pytest.raises(InputError) as caught:
        flow_of(tmp_path / "n.onnx", Rows(), sessions=0, threads=0, providers=[])
    assert [problem.message.split(" must")[0].split(":")[0] for problem in caught.value.problems] == [
        *("sessions", "threads", "providers", "model")
    ]
    assert "m.onnx" in str(caught.value.problems[-1].hint)
    with pytest.raises(InputError, match="provider must be one that ONNX Runtime knows, got 'cbu'"):
        flow_of(model, Rows(), providers=["cbu"])
    with pytest.raises(UnavailableError, match="DmlExecutionProvider is not in this onnxruntime"):
        flow_of(model, Rows(), providers=["dml", "cpu"])
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="model: 'broken.onnx' must load in ONNX Runtime, got: "):
        flow_of(tmp_path / "broken.onnx", Rows())
    with pytest.raises(InputError, match="queue must be a number of rows"):
        flow_of(model, Rows(), queue=0)
