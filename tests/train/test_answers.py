from __future__ import annotations

import pickle

import torch

from edgesft.train.answers import Answers


def test_what_was_asked_before_is_not_asked_again() -> None:
    answers, asked = Answers(), list[float]()

    def told(values: list[float], labels: int = 0) -> torch.Tensor:
        batch = {"x": torch.tensor(values), "labels": torch.tensor(labels)}

        def ask() -> torch.Tensor:
            asked.append(values[0])
            return batch["x"] * 2

        return answers.to(batch, ask)

    for values in ([1.0, 2.0], [3.0, 4.0], [1.0, 2.0]):
        assert told(values).tolist() == [2 * value for value in values]
    assert asked == [1.0, 3.0]
    told([1.0, 2.0], labels=1)
    told([1.0])
    assert asked == [1.0, 3.0, 1.0, 1.0], "other labels, or another shape, are another question"


def test_what_finds_no_room_is_asked_each_time() -> None:
    answers, asked = Answers(room=8), list[int]()

    def ask(number: int) -> torch.Tensor:
        asked.append(number)
        return torch.full((2,), float(number))

    for number in (0, 1, 0, 1):
        assert answers.to({"x": torch.tensor(number)}, lambda: ask(number)).tolist() == [number] * 2  # noqa: B023
    assert asked == [0, 1, 1]


def test_another_process_begins_with_none() -> None:
    answers, batch = Answers(), {"x": torch.ones(1000)}
    answers.to(batch, lambda: batch["x"])
    sent = pickle.dumps(answers)
    assert len(sent) < 1000 and pickle.loads(sent).to(batch, lambda: torch.zeros(1)).tolist() == [0.0]
