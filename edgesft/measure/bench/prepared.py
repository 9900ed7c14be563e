"""A model that is ready to be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesft.measure.inputs import Requests
from edgesft.measure.model.file import ModelFile
from edgesft.measure.pipelines import PipelineSource

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Prepared:
    """A model that is ready to be measured.

    Attributes:
        file: The model.
        requests: What is fed.
        states: Input → output that is fed back.
        pipeline: Steps around the inference, or None.
        rows: Raw rows for it.
        compared: Requests whose answers are compared.
        expected: The reference's answers to them; empty where it has none.
        reference: What the reference is, or why there is none.
        original: Of a variant, the answers of the model that it was made of; else empty.
        made: How the variant was made.
    """

    file: ModelFile
    requests: Requests
    states: Mapping[str, str] = field(default_factory=dict)
    pipeline: PipelineSource | None = None
    rows: Sequence[Any] = ()
    compared: Sequence[Outputs] = ()
    expected: Sequence[Outputs] = ()
    reference: str = ""
    original: Sequence[Outputs] = ()
    made: str = ""
