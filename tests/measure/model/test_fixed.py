from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesft.errors import InputError
from edgesft.measure.model.fixed import KEY, Fixed, fix, fixed, free, own_metadata
from tests.measure import models

SIZES = {"batch": 1, "sequence": 6}


def classifier(tmp_path: Path) -> onnx.ModelProto:
    return onnx.load(str(models.save_classifier(tmp_path / "m.onnx")))


def test_free_axes_are_found_under_their_names(tmp_path: Path) -> None:
    found = free(classifier(tmp_path))
    assert found.inputs == {"ids": {0: "batch", 1: "sequence"}} and found.outputs == {"logits": {0: "batch"}}


def test_an_axis_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    model.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_param")
    assert free(model).inputs == {"ids": {0: "batch", 1: "ids.1"}}
    fix(model, {"batch": 1, "ids.1": 5})
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [1, 5]


def test_sizes_are_given_and_noted_in_the_file(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    done = fix(model, SIZES)
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [1, 6]
    assert not free(model).inputs and done.sizes == SIZES
    model.metadata_props.add(key="author", value="someone")
    own_metadata(model)
    assert [entry.key for entry in model.metadata_props] == [KEY] and fixed(model) == done


def test_a_size_that_lacks_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)axis sequence must have a size.*Try: --axis sequence=64"):
        fix(classifier(tmp_path), {"batch": 1})


def test_a_model_of_fixed_axes_tells_nothing(tmp_path: Path) -> None:
    assert fixed(onnx.load(str(models.save_image(tmp_path / "m.onnx")))) is None


SHAPES = Fixed(
    {"batch": 1, "n": 4}, {"ids": {0: "batch", 1: "n"}, "mask": {0: "batch", 1: "n"}}, {"tags": {0: "batch", 1: "n"}}
)


def test_feeds_are_padded_and_answers_cut_back() -> None:
    feeds = {"ids": np.array([[7, 8]]), "mask": np.array([[1, 1]])}
    padded = SHAPES.pad(feeds)
    assert padded["ids"].tolist() == [[7, 8, 0, 0]] and padded["mask"].tolist() == [[1, 1, 0, 0]]
    answers = {"tags": np.arange(12.0).reshape(1, 4, 3), "whole": np.ones((1, 5))}
    cut = SHAPES.crop(answers, feeds)
    assert cut["tags"].shape == (1, 2, 3) and cut["whole"].shape == (1, 5)


def test_what_fits_is_the_same_object() -> None:
    feeds = {"ids": np.ones((1, 4)), "mask": np.ones((1, 4))}
    assert SHAPES.pad(feeds)["ids"] is feeds["ids"]


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="axis 1 of input 'ids' must be at most 4.*got 5"):
        SHAPES.pad({"ids": np.ones((1, 5))})


def test_the_json_form_is_read_back() -> None:
    assert Fixed.from_json(SHAPES.to_json()) == SHAPES
