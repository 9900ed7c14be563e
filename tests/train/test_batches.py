from __future__ import annotations

import time

import numpy as np
import pytest

from edgesft.train import batches
from edgesft.train.batches import Steps, ahead, batch_count, epoch_batches, epoch_rows
from tests.train.mood import SETTINGS, Mood


def test_an_epoch_holds_every_row_once() -> None:
    found = epoch_batches([3] * 103, 10, 0, 0)
    assert len(found) == 11
    assert sorted(np.concatenate(found)) == list(range(103))


@pytest.mark.parametrize("rows", [65, 129, 3201, 33])
def test_no_row_is_alone_in_a_batch(rows: int) -> None:
    found = epoch_batches(list(range(rows)), 32, 0, 0)
    assert sorted(np.concatenate(found)) == list(range(rows))
    assert sorted(map(len, found)) == [32] * (rows // 32 - 1) + [33]
    assert len(found) == batch_count(rows, 32)


def test_batches_of_one_row_where_that_is_asked() -> None:
    assert [len(batch) for batch in epoch_batches([3] * 5, 1, 0, 0)] == [1] * 5 and batch_count(5, 1) == 5
    assert [len(batch) for batch in epoch_batches([3], 4, 0, 0)] == [1] and batch_count(1, 4) == 1


def test_rows_of_like_length_are_together() -> None:
    lengths = np.random.default_rng(0).integers(4, 60, 2000)
    spread = [np.ptp(lengths[batch]) for batch in epoch_batches(lengths, 20, 0, 0)]
    assert np.mean(spread) < 10


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def flat(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(list(range(64)), 4, seed, epoch)).tolist()

    assert flat(0, 0) == flat(0, 0)
    assert flat(0, 0) != flat(0, 1)
    assert flat(0, 0) != flat(1, 0)


def test_small_sets_are_mixed_anew_each_epoch() -> None:
    lengths = list(range(64))
    first, second = ({frozenset(batch.tolist()) for batch in epoch_batches(lengths, 8, 0, epoch)} for epoch in (0, 1))
    assert len(first & second) < len(first)


def test_steps_can_be_read_in_any_order(task: Mood) -> None:
    steps = Steps(task.task, task.processor, task.train, SETTINGS, 0)
    forwards = [steps[index]["input_ids"] for index in range(len(steps))]
    again = Steps(task.task, task.processor, task.train, SETTINGS, 0)
    for index in reversed(range(len(steps))):
        assert forwards[index].equal(again[index]["input_ids"])


def test_noise_only_where_asked(task: Mood) -> None:
    clean = SETTINGS.model_copy(update={"token_dropout": 0.0})
    noisy, plain = (Steps(task.task, task.processor, task.train, settings, 0)[0] for settings in (SETTINGS, clean))
    changed = (noisy["input_ids"] != plain["input_ids"]).float().mean().item()
    assert 0.02 < changed < 0.2
    assert noisy["labels"].equal(plain["labels"])


def test_length_of_fractions(task: Mood) -> None:
    for epochs, expected in ((1.0, 10), (0.3, 3), (0.31, 4), (0.001, 1)):
        settings = SETTINGS.model_copy(update={"epochs": epochs})
        assert len(Steps(task.task, task.processor, task.train, settings, 0)) == expected


def test_sampling_evens_out_groups() -> None:
    groups = [0] * 80 + [1] * 20
    proportional = np.bincount([groups[row] for row in epoch_rows(groups, 1.0, 0, 0)])
    even = np.bincount([groups[row] for row in epoch_rows(groups, 0.0, 0, 0)])
    between = np.bincount([groups[row] for row in epoch_rows(groups, 0.5, 0, 0)])
    assert (proportional.tolist(), even.tolist(), between.tolist()) == ([80, 20], [50, 50], [67, 33])


def test_sampling_draws_no_row_once_more_than_another() -> None:
    groups = [0] * 80 + [1] * 20
    seen = np.zeros(100, int)
    for epoch in range(3):
        rows = epoch_rows(groups, 0.0, 7, epoch)
        assert len(rows) == 100
        assert (rows == epoch_rows(groups, 0.0, 7, epoch)).all()
        np.add.at(seen, rows, 1)
        for group in (seen[:80], seen[80:]):
            assert group.max() - group.min() <= 1
    assert seen.sum() == 300
    assert sorted(epoch_rows(groups, 1.0, 7, 0)) == list(range(100))


def test_long_batches_are_computed_in_parts(task: Mood, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(task.task, task.processor, task.train, SETTINGS, 0)
    assert steps.parts(0) == 1
    rows, longest = steps[0]["input_ids"].shape
    monkeypatch.setattr(batches, "PART", rows * longest / 3)
    assert steps.parts(0) == 3


def test_steps_made_ahead_are_the_same_ones(task: Mood) -> None:
    steps = Steps(task.task, task.processor, task.train, SETTINGS, 0)
    with ahead(steps) as batches:
        made = [batches[step] for step in range(3, len(steps))]
        assert len(batches) == len(steps)
    for step, batch in enumerate(made, 3):
        assert all(values.equal(steps[step][name]) for name, values in batch.items())


def test_the_next_step_is_made_meanwhile(task: Mood) -> None:
    class Slow(Steps):
        def __getitem__(self, step: int) -> dict[str, object]:
            time.sleep(0.2)
            return super().__getitem__(step)

    with ahead(Slow(task.task, task.processor, task.train, SETTINGS, 0)) as batches:
        batches[0]
        first = batches.waited
        time.sleep(0.4)
        batches[1]
    assert first >= 0.2
    assert batches.waited - first < 0.1


def test_what_goes_wrong_with_a_step_is_raised_where_it_is_asked_for(task: Mood) -> None:
    class Broken(Steps):
        def __getitem__(self, step: int) -> dict[str, object]:
            raise OSError("the file is gone")

    with (
        ahead(Broken(task.task, task.processor, task.train, SETTINGS, 0)) as batches,
        pytest.raises(OSError, match="is gone"),
    ):
        batches[0]
