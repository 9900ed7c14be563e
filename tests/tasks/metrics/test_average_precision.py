"""Average precision: by hand, and as COCO's own code has it where that is installed."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from edgesft.tasks.metrics import average_precision as precision

LABELS = ("a", "b", "c")


def scene(rng: np.random.Generator, objects: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Objects, and detections of which most are near one of them."""
    boxes = np.concatenate([rng.uniform(0.2, 0.8, (objects, 2)), rng.uniform(0.1, 0.3, (objects, 2))], 1)
    kinds = rng.integers(0, classes, objects)
    seen = rng.integers(0, objects, 3 * objects)
    near = boxes[seen] * rng.uniform(0.8, 1.2, (3 * objects, 4))
    said = np.where(rng.random(3 * objects) < 0.8, kinds[seen], rng.integers(0, classes, 3 * objects))
    found = np.column_stack([near, rng.random(3 * objects), said])
    return np.concatenate([np.eye(classes)[kinds], boxes], 1), found


def scenes(count: int = 12, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    made = [scene(rng, int(rng.integers(1, 8)), classes) for _ in range(count)]
    truth, found = ([each[part] for each in made] for part in (0, 1))
    return precision.filled(found, 100, precision.NOTHING), precision.filled(truth)


def test_by_hand() -> None:
    box = [0.5, 0.5, 0.2, 0.2]
    apart = [0.1, 0.1, 0.2, 0.2]
    truth = precision.filled([np.array([[1, 0, *box], [1, 0, *apart]])])
    # The surest is right, the next is the same once more, the third one is right.
    found = precision.filled([np.array([[*box, 0.9, 0], [*box, 0.8, 0], [*apart, 0.7, 0]])], 5, precision.NOTHING)
    assert precision.matched(found, truth)[0, :, 0].tolist() == [True, False, True, False, False]
    # Up to half of the recall (51 of 101 points) the precision is 1, from there on two of three.
    values = precision.precisions(found, truth)
    assert values[0] == pytest.approx(np.full(10, (51 + 50 * 2 / 3) / 101))
    assert np.isnan(values[1]).all(), "no box of it"
    assert precision.mean(values) == pytest.approx(values[0, 0])
    # A box of 0.2 beside one that is moved by a fifth of it: they share 0.8, and cover 1.2.
    moved = precision.filled([np.array([[0.54, 0.5, 0.2, 0.2, 0.9, 0]])])
    right = precision.matched(moved, precision.filled([np.array([[1, 0, *box]])]))
    assert right[0, 0].tolist() == [threshold < 0.8 / 1.2 for threshold in precision.THRESHOLDS]


def test_the_threshold_has_the_greatest_f1() -> None:
    found, truth = scenes()
    least, f1 = precision.best_threshold(found, truth)
    told = precision.told(found, truth, LABELS, least)
    assert told["averages"]["f1"] == pytest.approx(f1)
    for other in (0.1, 0.3, 0.5, 0.7):
        assert precision.told(found, truth, LABELS, other)["averages"]["f1"] <= f1 + 1e-9
    assert sum(each["boxes"] for each in told["classes"]) == truth[..., :-4].sum()
    nothing = np.full_like(found, precision.NOTHING)
    assert precision.best_threshold(nothing, truth) == (0.5, 0.0)
    assert precision.mean(precision.precisions(nothing, truth)) == 0


def test_rows_with_repeats() -> None:
    """A bootstrap draws a row twice: it then counts twice."""
    found, truth = scenes()
    rows = np.array([0, 0, 3, 5, 5, 5])
    once = precision.precisions(found[rows], truth[rows])
    assert once.shape == (3, 10) and np.isfinite(once).any()
    both = precision.precisions(np.concatenate([found, found]), np.concatenate([truth, truth]))
    assert precision.mean(both) == pytest.approx(precision.mean(precision.precisions(found, truth)), abs=0.02)


def test_as_coco_has_it() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    found, truth = scenes(40)
    said: dict[str, list[dict[str, object]]] = {
        "images": [{"id": number + 1} for number in range(len(truth))],
        "categories": [{"id": number, "name": label} for number, label in enumerate(LABELS)],
        "annotations": [],
    }
    answers = []

    def corner(box: np.ndarray) -> list[float]:
        x, y, width, height = (box.astype(np.float64) * 1000).tolist()
        return [x - width / 2, y - height / 2, width, height]

    for number in range(len(truth)):
        for row in truth[number][truth[number][:, :-4].any(1)]:
            box = corner(row[-4:])
            mark = {"id": len(said["annotations"]) + 1, "image_id": number + 1, "category_id": int(row[:-4].argmax())}
            said["annotations"].append({**mark, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        for row in found[number][found[number][:, 5] >= 0]:
            answer = {"image_id": number + 1, "category_id": int(row[5]), "score": float(row[4])}
            answers.append({**answer, "bbox": corner(row[:4])})
    with contextlib.redirect_stdout(io.StringIO()):
        whole = coco.COCO()
        whole.dataset = said
        whole.createIndex()
        judged = COCOeval(whole, whole.loadRes(answers), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    values = precision.precisions(found, truth)
    assert [precision.mean(values), precision.mean(values[:, 0])] == pytest.approx(judged.stats[:2].tolist(), abs=1e-6)
