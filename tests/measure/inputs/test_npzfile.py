from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.measure.inputs import Requests, load_npz
from edgesft.measure.replies import Value

TEXT = (Value("ids", "int64", ("batch", "sequence")), Value("mask", "int64", ("batch", "sequence")))
SPEECH = (
    Value("input", "float32", ("batch", "samples")),
    Value("state", "float32", (2, "batch", 8)),
    Value("sr", "int64", ()),
)
PICTURE = (Value("image", "float32", (1, 3, 4, 4)),)


def load(folder: Path, inputs: tuple[Value, ...], batch: int = 1, **arrays: np.ndarray) -> Requests:
    np.savez(folder / "rows.npz", **arrays)
    return load_npz(folder / "rows.npz", inputs, batch=batch)


def problems(folder: Path, inputs: tuple[Value, ...], batch: int = 1, **arrays: np.ndarray) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(folder, inputs, batch, **arrays)
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def test_rows_become_requests(tmp_path: Path) -> None:
    ids = np.arange(30).reshape(6, 5)
    found = load(tmp_path, TEXT, ids=ids, mask=np.ones_like(ids))
    assert found.source == "rows.npz, 6 requests"
    assert [each["ids"].tolist() for each in found.feeds] == [[row.tolist()] for row in ids]
    assert list(found.feeds[0]) == ["ids", "mask"]


def test_rows_in_batches_and_what_is_left_over(tmp_path: Path) -> None:
    ids = np.arange(35).reshape(7, 5)
    found = load(tmp_path, TEXT, batch=3, ids=ids, mask=np.ones_like(ids))
    assert found.source == "rows.npz, 2 requests of 3 rows, 1 rows left out"
    assert found.feeds[1]["ids"].tolist() == ids[3:6].tolist()


def test_what_has_no_rows_is_the_same_in_every_request(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).random((3, 16), np.float32)
    state = np.full((2, 1, 8), 0.5, np.float32)
    found = load(tmp_path, SPEECH, input=sound, state=state, sr=np.array(16000))
    assert len(found.feeds) == 3
    assert all(each["sr"] == 16000 and np.array_equal(each["state"], state) for each in found.feeds)
    assert np.array_equal(found.feeds[2]["input"], sound[2:])


def test_a_fixed_batch_of_one_is_cut_too(tmp_path: Path) -> None:
    assert len(load(tmp_path, PICTURE, image=np.zeros((5, 3, 4, 4), np.float32)).feeds) == 5
    assert len(load(tmp_path, PICTURE, image=np.zeros((1, 3, 4, 4), np.float32)).feeds) == 1
    (wrong,) = problems(tmp_path, PICTURE, batch=2, image=np.zeros((4, 3, 4, 4), np.float32))
    assert "'image' must be of shape [1, 3, 4, 4], got [4, 3, 4, 4] (2 rows a request)" in wrong


def test_a_length_is_not_cut(tmp_path: Path) -> None:
    for value, shape in (
        (Value("x", "float32", ("time", 40)), (300, 40)),
        (Value("x", "float32", ("samples",)), (16000,)),
        (Value("x", "float32", ("s0", "batch", 4)), (9, 1, 4)),
    ):
        found = load(tmp_path, (value,), x=np.zeros(shape, np.float32))
        assert [each["x"].shape for each in found.feeds] == [shape]
    both = (Value("x", "float32", ("s0", 4)), Value("mask", "float32", (1, "s0")))
    found = load(tmp_path, both, x=np.zeros((9, 4), np.float32), mask=np.zeros((1, 9), np.float32))
    assert len(found.feeds) == 1
    assert len(load(tmp_path, (Value("x", "float32", ("s0", 4)),), x=np.zeros((9, 4), np.float32)).feeds) == 9


def test_numbered_keys_are_requests_of_their_own_length(tmp_path: Path) -> None:
    arrays = {f"{index}/input": np.full((1, 100 + index), index, np.float32) for index in range(12)}
    found = load(tmp_path, SPEECH, state=np.zeros((2, 1, 8), np.float32), sr=np.array(8000), **arrays)
    assert [each["input"].shape[1] for each in found.feeds] == list(range(100, 112))
    assert all(each["sr"] == 8000 for each in found.feeds)
    (wrong,) = problems(tmp_path, PICTURE, **{"1/image": np.zeros((1, 3, 4, 4), np.float32)})
    assert "request 0 must have every input, got no '0/image'" in wrong


def test_types_are_converted_only_where_nothing_changes(tmp_path: Path) -> None:
    found = load(tmp_path, TEXT, ids=np.ones((2, 3), np.int32), mask=np.ones((2, 3), ">i8"))
    assert {array.dtype for each in found.feeds for array in each.values()} == {np.dtype(np.int64)}
    halves = load(tmp_path, PICTURE, image=np.full((1, 3, 4, 4), 0.5))
    assert halves.feeds[0]["image"].dtype == np.float32
    small = (Value("ids", "int32", ("batch", 2)),)
    assert load(tmp_path, small, ids=np.array([[1, 2**31 - 1]])).feeds[0]["ids"].dtype == np.int32
    assert "'ids' must be of type int32, got int64" in problems(tmp_path, small, ids=np.array([[1, 2**31]]))[0]
    thirds = problems(tmp_path, PICTURE, image=np.full((1, 3, 4, 4), 1 / 3))
    assert thirds == ["'image' must be of type float32, got float64\n    Try: array.astype('float32')"]
    assert "got int64" in problems(tmp_path, PICTURE, image=np.zeros((1, 3, 4, 4), np.int64))[0]


def test_text(tmp_path: Path) -> None:
    words = (Value("words", "string", ("batch", 1)),)
    found = load(tmp_path, words, words=np.array([["a"], ["bcd"]]))
    assert found.feeds[1]["words"].dtype == object
    assert found.feeds[1]["words"].tolist() == [["bcd"]]
    assert "must be of type string, got int64" in problems(tmp_path, words, words=np.array([[1]]))[0]


def test_every_problem_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        (*TEXT, *PICTURE),
        ids=np.ones((2, 3, 1), np.float32),
        maks=np.ones((2, 3), np.int64),
        image=np.zeros((2, 3, 4, 5), np.float32),
    )
    assert len(found) == 5
    text = "\n".join(found)
    assert "'maks' must be an input of the model, got no such name\n    Try: 'mask'" in text
    assert "'ids' must be of shape [batch, sequence], got [2, 3, 1]" in text
    assert "'ids' must be of type int64, got float32" in text
    assert "'image' must be of shape [1, 3, 4, 4], got [2, 3, 4, 5]" in text
    assert "'mask' must be given" in text


def test_rows_must_be_as_many_and_enough(tmp_path: Path) -> None:
    ids = np.ones((4, 3), np.int64)
    assert "4 in 'ids', 3 in 'mask'" in problems(tmp_path, TEXT, ids=ids, mask=ids[:3])[0]
    assert "at least the 8 rows of one batch, got 4" in problems(tmp_path, TEXT, batch=8, ids=ids, mask=ids)[0]
    assert "got no array with rows" in problems(tmp_path, TEXT, batch=8, ids=ids[:1], mask=ids[:1])[0]


def test_axes_of_one_name_have_one_size(tmp_path: Path) -> None:
    (wrong,) = problems(tmp_path, TEXT, ids=np.ones((4, 3), np.int64), mask=np.ones((4, 2), np.int64))
    assert "axis 'sequence' must have one size in request 0, got 3 in 'ids' and 2 in 'mask'" in wrong


def test_empty_arrays_and_objects(tmp_path: Path) -> None:
    assert "got an empty array of shape [0, 3, 4, 4]" in problems(tmp_path, PICTURE, image=np.zeros((0, 3, 4, 4)))[0]
    ragged = np.empty(2, object)
    (wrong,) = problems(tmp_path, PICTURE, image=ragged)
    assert "'image' must be an array of numbers or text, got Python objects" in wrong
    assert "'<i>/image'" in wrong
    assert "with arrays, got none" in problems(tmp_path, PICTURE)[0]


def test_types_that_arrays_cannot_have(tmp_path: Path) -> None:
    (wrong, *_) = problems(tmp_path, (Value("x", "bfloat16", (1, 2)),), x=np.zeros((1, 2), np.float32))
    assert "type that numpy has, got bfloat16" in wrong


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "rows.npz"
    place.write_bytes(content)
    with pytest.raises(InputError, match=r"must be an npz file, got .*(?s:.)*Try: numpy\.savez"):
        load_npz(place, PICTURE)
    with pytest.raises(InputError, match="exists"):
        load_npz(tmp_path / "no.npz", PICTURE)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="which is none"):
        load_npz(tmp_path / "one.npy", PICTURE)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("image", "hello")
    with pytest.raises(InputError, match="'image' must be an array of numbers or text, got another file"):
        load_npz(place, PICTURE)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("unpickled",))

    np.savez(tmp_path / "rows.npz", image=np.array([Bomb()], object))
    with pytest.raises(InputError, match="Python objects"):
        load_npz(tmp_path / "rows.npz", PICTURE)


def test_a_damaged_archive_is_a_message(tmp_path: Path) -> None:
    place = tmp_path / "rows.npz"
    np.savez_compressed(place, image=np.random.default_rng(0).random((1, 3, 4, 4), np.float32))
    content = bytearray(place.read_bytes())
    content[60:160] = bytes(100)
    place.write_bytes(content)
    with pytest.raises(InputError, match="'image' must be an array of numbers or text, got damaged bytes"):
        load_npz(place, PICTURE)
