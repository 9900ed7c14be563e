"""Object detection: the classes and boxes of the objects in a picture.

Every detector gives the same two tensors, which are those of transformers' detectors: `logits`, scores of each class at
each place, and `pred_boxes`, one decoded box per place. Places may be grid cells or queries; training, decoding,
distillation and export are the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import boxed, checks
from edgesft.data.media.image import LEAST_SCORE, detections
from edgesft.data.media.images import DRAWN_ON
from edgesft.errors import InputError, Problem
from edgesft.spec.media import BoxesSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.augmentation import scenes
from edgesft.tasks.base import Batch, Example, Graph, Row, Run
from edgesft.tasks.classes import LABELS, known
from edgesft.tasks.contract import Contract
from edgesft.tasks.detection.boxes import KEPT
from edgesft.tasks.media import INPUT
from edgesft.tasks.metrics import average_precision as precision
from edgesft.tasks.models.source import Source
from edgesft.tasks.pictures import Pictures, PictureTask

if TYPE_CHECKING:
    import torch
    from torch import nn

BOXES = "boxes"
"""Role of the rows' boxes; option of the recipe and the contract for the postprocessing of a model's boxes."""

SCORE = "least_score"
"""Option of the contract: the score from which a box counts, by F1 on the validation rows."""

OUTPUTS = ("logits", "pred_boxes")


class Scenes(Pictures):
    """Reads pictures and postprocesses boxes as the contract says."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract.options)
        self.classes, self.boxes = len(contract.labels), dict(contract.options[BOXES])

    def seen(self, outputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What a detector sees on each picture of a batch (`image.detections`)."""
        rows = len(outputs["logits"])
        check_width(outputs["logits"].shape[2], self.classes)
        return [
            detections({name: values[row] for name, values in outputs.items()}, self.classes, **self.boxes)
            for row in range(rows)
        ]


class ObjectDetection(PictureTask):
    """Boxes with classes, by a detector of transformers or the user's own.

    A row has `image`, `boxes`, each left, top, width and height in pixels as COCO has them, and `labels`, one a box;
    optionally `drawn_on`, height and width of the picture that the boxes were drawn on, which it must have as it is
    read.

    The user's module gives `logits`, [rows, places, classes], and `pred_boxes`, [rows, places, 4]: centre x and y,
    width and height as shares of the picture's sides. Either classes are independent (sigmoid), several places predict
    the same object, and suppression leaves one of them. Or `logits` have one more column, the last, for no object
    (softmax), and each object has one place.
    """

    name: ClassVar[str] = "object-detection"
    roles: tuple[str, ...] = ("image", BOXES, "labels")
    optional: tuple[str, ...] = (DRAWN_ON,)
    metrics: tuple[str, ...] = ("map", "map50")
    training: frozenset[str] = frozenset(("flip", "turn", "crop", "colour", "mosaic"))
    kind: ClassVar[str] = "object-detection"
    heads: ClassVar[str] = "MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES"
    head: ClassVar[frozenset[str]] = frozenset(
        ("class_labels_classifier", "bbox_predictor", "class_embed", "bbox_embed")
    )
    advice: ClassVar[str] = "a yolos, detr or rt_detr"
    outputs: ClassVar[tuple[str, ...]] = OUTPUTS

    def classes(self, row: Row) -> list[str]:
        """Those of its boxes."""
        return [checks.label_name(label) for label in row["labels"]]

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits; boxes that are none; classes that train lacks."""
        return boxed.problems(splits)

    def warnings(self, splits: Mapping[str, Sequence[Row]]) -> list[str]:
        """Boxes without a size; classes without a box in a split."""
        return boxed.warnings(splits)

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels in a stable order, and options for reading pictures and postprocessing boxes."""
        labels = checks.ordered({checks.label_name(label) for row in train for label in row["labels"]})
        reading = self.settled(options.get(self.medium.role, {}))
        made = BoxesSpec(**options.get(BOXES, {})).model_dump(mode="json")
        return Contract(self.name, tuple(labels), {INPUT: options.get(INPUT, self.input), **reading, BOXES: made})

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """As of other models; pictures of which a part alone is read, of which boxes would be shares."""
        found = super().check_model(source, contract, trust_remote_code=trust_remote_code)
        resize, crop = contract.options["resize"], contract.options["crop"]
        if crop is not None or isinstance(resize, int):
            got = f"crop {crop}" if crop is not None else f"resize {resize}, which keeps the sides' ratio"
            message = f"data.image: must read whole pictures at one size, of which boxes are shares, got {got}"
            found.append(Problem(message, "data.image={resize: [height, width], crop: null}"))
        return found

    def load_processor(self, source: Any, contract: Contract) -> Scenes:
        """What reads pictures, and makes boxes of answers, as the contract says."""
        return Scenes(contract)

    def encode(self, rows: Sequence[Row], processor: Scenes, contract: Contract) -> list[Example]:
        """The stored pixels of each picture; its boxes as shares of its sides, clipped to it, without empty ones."""
        index_of = {label: index for index, label in enumerate(contract.labels)}
        examples: list[Example] = []
        for row, kept in zip(rows, self.read(rows, processor), strict=True):
            example = {processor.input: kept}
            if BOXES in row:
                indices = [known(checks.label_name(label), index_of) for label in row["labels"]]
                kinds, placed = np.eye(len(index_of))[np.asarray(indices, np.int64)], boxed.shares(row)
                example[LABELS] = np.concatenate([kinds, placed], 1)[boxed.sized(placed)].astype(np.float32)
            examples.append(example)
        return examples

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """Stacked pictures; of each object 1 for its class, and its box: float32 of shape [rows, objects, classes + 4],
        filled up with zeros.
        """
        batch = super().collate([{processor.input: each[processor.input]} for each in examples], processor)
        if LABELS in examples[0]:
            batch[LABELS] = self.references(examples)
        return batch

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """As `collate` has the labels."""
        return precision.filled([example[LABELS] for example in examples])

    def disturb(
        self, examples: Sequence[Example], processor: Scenes, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Mosaics, crops, flips and rotations of pictures with their boxes."""
        given = [(example[processor.input], example[LABELS]) for example in examples]
        found = list[Example]()
        for scene in given:
            if rng.random() < settings.mosaic:
                scene = scenes.mosaic([scene, *(given[each] for each in rng.integers(0, len(given), 3))], rng)
            if settings.crop:
                scene = scenes.cut(scene, scenes.random_window(settings.crop, rng))
            if isinstance(settings.flip, float) and rng.random() < settings.flip:
                scene = scenes.mirrored(scene, -1)
            if rng.random() < settings.turn:
                scene = scenes.mirrored(scenes.mirrored(scene, -1), -2)
            found.append({processor.input: scene[0], LABELS: scene[1]})
        return found

    def augment(
        self,
        batch: Batch,
        processor: Scenes,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """Random changes of colour."""
        if not settings.colour:
            return batch
        return {**batch, processor.input: processor.coloured(batch[processor.input], settings.colour, rng)}

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Loss of classes and boxes at the places that are assigned to labelled objects (`assignment.criterion`).

        Targets depend on how well places predict; label smoothing and class weights do not apply.
        """
        from edgesft.tasks.detection.assignment import criterion

        logits, said = _said(outputs)
        check_width(logits.shape[2], labels.shape[2] - 4)
        return criterion(logits, said, labels)

    def logits(self, outputs: Any) -> torch.Tensor:
        """Scores and boxes of each place, shape [rows, places, numbers]."""
        import torch

        return torch.cat(_said(outputs), 2)

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Scores whose sigmoid is each class's probability, and boxes; float32 of shape [rows, places, classes + 4]."""
        import torch

        from edgesft.tasks.detection.assignment import independent

        logits, said = _said(outputs)
        return torch.cat([independent(logits, batch[LABELS].shape[2] - 4), said.float()], 2)

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor | None:
        """Divergence of scores and boxes where the teacher is confident (`assignment.divergence`)."""
        from edgesft.tasks.detection.assignment import divergence

        return divergence(ours, theirs)

    def predict(self, run: Run, examples: Sequence[Example], processor: Scenes, *, batch_size: int = 1) -> np.ndarray:
        """The detections of each picture by falling score: float32 of shape [rows, most, 6], box, score and class
        index, padded with -1.
        """
        found = list[np.ndarray]()
        for start in range(0, len(examples), batch_size):
            batch = self.collate(examples[start : start + batch_size], processor)
            found += processor.seen(run({processor.input: batch[processor.input]}))
        return precision.filled(found, processor.boxes["most"], precision.NOTHING)

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """COCO's mean average precision over overlaps from 0.5 to 0.95, and at 0.5."""
        found = precision.precisions(predictions, references)
        return {"map": precision.mean(found), "map50": precision.mean(found[:, 0])}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Boxes and average precisions of each class; and precision, recall and F1 at an overlap of 0.5 for boxes with
        at least the contract's least score.
        """
        return precision.told(predictions, references, contract.labels, contract.options.get(SCORE, LEAST_SCORE))

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """The score from which boxes have the greatest F1."""
        return {SCORE: precision.best_threshold(predictions, references)[0]}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """Boxes of the surest places, by the sigmoid of their scores, or softmax where nothing has a score."""
        made = contract.options[BOXES]
        kept = {"kept": KEPT} if made["suppression"] == "graph" else {}
        said = {"output": OUTPUTS[0], "axis": 2, "classes": len(contract.labels)}
        told = {
            "boxes": OUTPUTS[1],
            "iou": made["iou"],
            "most": made["most"],
            "least_score": contract.options.get(SCORE, LEAST_SCORE),
        }
        return {"kind": "boxes", **said, **told, **kept}

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, with a dynamic batch; where the contract says so it also tells which boxes are kept."""
        (graph,) = super().graphs(model, processor, examples)
        if processor.boxes["suppression"] == "beside":
            return [graph]
        from edgesft.tasks.detection.suppression import within

        return [within(graph, processor.classes, processor.boxes["iou"], processor.boxes["most"])]


def check_width(scores: int, classes: int) -> None:
    """Refuses a detector that has neither a score for each class nor one more.

    Raises:
        InputError: It has not.
    """
    if scores not in (classes, classes + 1):
        message = f"model: must give a score for each of {classes} labels, or one more for 'no object', got {scores}"
        raise InputError(message, "set the number of classes in model.arguments, by the name that your factory uses")


def _said(outputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and boxes.

    Raises:
        InputError: The model's answer lacks them, or they are not of one place each.
    """
    lacking = [name for name in OUTPUTS if name not in outputs]
    if lacking:
        got = ", ".join(outputs)
        raise InputError(f"model: must answer {' and '.join(OUTPUTS)} by name, got {got}", "see the task's docstring")
    logits, said = (outputs[name] for name in OUTPUTS)
    if logits.dim() != 3 or said.shape != (*logits.shape[:2], 4):
        got = f"{list(logits.shape)} and {list(said.shape)}"
        message = f"model: logits and pred_boxes must be [rows, places, classes] and [rows, places, 4], got {got}"
        raise InputError(message, "a box for each place that has scores")
    return logits, said
