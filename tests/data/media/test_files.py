"""Rows whose input is a file: found in folders, archives, tables and idx files, read where they lie, told apart."""

from __future__ import annotations

import gzip
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.data import digest, load
from edgesft.data.hashing import identity
from edgesft.data.media.images import Images
from edgesft.data.media.medium import File, source
from edgesft.data.schema import RowSchema
from edgesft.data.splits import Splits, unknown
from edgesft.errors import InputError
from edgesft.spec.recipe import DataSpec
from tests import tiny

pytest.importorskip("PIL")

IMAGES = Images()
ROWS = RowSchema(("image", "label"), medium=IMAGES)


def spec(**values: Any) -> DataSpec:
    return DataSpec.model_validate({"train": "p", "validation": 0.25, **values})


def read(base: Path, **values: Any) -> Splits:
    return load(spec(**values), ROWS, base, 0)


def complaint(base: Path, **values: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(base, **values)
    return str(caught.value)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """`p` has a folder a class, `q` the same below `train` and `test`."""
    tiny.save_pictures(tmp_path / "p", tiny.pictured(16))
    (tmp_path / "p" / ".hidden").mkdir()
    (tmp_path / "p" / ".hidden" / "x.png").write_bytes(b"")
    (tmp_path / "p" / "notes.md").write_text("no picture")
    for seed, split in enumerate(("train", "test"), 1):
        tiny.save_pictures(tmp_path / "q" / split, tiny.pictured(12, seed))
    return tmp_path


def archived(base: Path, folder: str) -> Path:
    place = base / f"{folder}.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for file in sorted((base / folder).rglob("*")):
            archive.write(file, file.relative_to(base / folder))
    return place


def test_a_folder_a_class(base: Path) -> None:
    splits = read(base)
    rows = [*splits.train, *splits.validation]
    assert (len(splits.train), len(splits.validation)) == (12, 4)
    assert {(row["label"], Path(row["image"]).parent.name) for row in rows} == {("lying",) * 2, ("standing",) * 2}
    assert all(isinstance(row["image"], File) and Path(row["image"]).is_absolute() for row in rows)


def test_links_are_followed_and_not_around(base: Path) -> None:
    (base / "linked").mkdir()
    for name in ("lying", "standing"):
        (base / "linked" / name).symlink_to(base / "p" / name)
    (base / "p" / "lying" / "back").symlink_to(base / "linked")
    linked, plain = (read(base, train=name) for name in ("linked", "p"))
    assert [row["label"] for row in linked.train].count("lying") >= 6
    # What is linked back to is read once more, by its other name, and no further.
    assert len(linked.train) + len(linked.validation) == 16
    assert len(plain.train) + len(plain.validation) == 24


def test_faults_of_a_table_are_told_where_it_lies(base: Path) -> None:
    (base / "p" / "metadata.csv").write_text("image,label\nlying/0000.png\n")
    archived(base, "p")
    assert f"{base}/p/metadata.csv:2: must have 2 columns" in complaint(base)
    assert f"{base}/p.zip#metadata.csv:2: must have 2 columns" in complaint(base, train="p.zip")


def test_folders_of_splits(base: Path) -> None:
    splits = read(base, train="q", test="q")
    assert splits.test is not None and len(splits.test) == 12 and len(splits.train) + len(splits.validation) == 12
    assert {row["label"] for row in splits.train} == {"lying", "standing"}
    named = read(base, train="q#train", test="q#test")
    assert (named.train, named.test) == (splits.train, splits.test)
    # A class may be called like a split.
    (base / "p" / "lying").rename(base / "p" / "train")
    assert {row["label"] for row in read(base).train} == {"train", "standing"}


def test_archives_are_as_their_folders(base: Path) -> None:
    archived(base, "q")
    folder, archive = read(base, train="q", test="q"), read(base, train="q.zip", test="q.zip#test")
    for ours, theirs in ((folder.train, archive.train), (folder.test, archive.test)):
        assert ours is not None and theirs is not None
        assert [row["label"] for row in ours] == [row["label"] for row in theirs]
        assert [identity(row["image"]) for row in ours] == [identity(row["image"]) for row in theirs]
        assert isinstance(source(theirs[0]["image"]), bytes) and isinstance(source(ours[0]["image"]), str)
    (base / "q.zip").write_bytes(b"PK no archive")
    assert "q.zip' must be a zip archive" in complaint(base, train="q.zip")


@pytest.mark.parametrize("folder", ["p", "q"])
def test_an_archive_of_one_folder(folder: str, base: Path) -> None:
    (base / "packed").mkdir()
    (base / folder).rename(base / "packed" / "signs")
    archived(base, "packed")
    parts: dict[str, Any] = {"test": "packed"} if folder == "q" else {}
    unpacked = read(base, train="packed", **parts)
    splits = read(base, train="packed.zip", **{name: f"{each}.zip" for name, each in parts.items()})
    for ours in (unpacked, splits):
        assert {row["label"] for row in ours.train} == {"lying", "standing"}
        assert len(ours.train) + len(ours.validation) == (12 if parts else 16)
        assert ours.test is None or len(ours.test) == 12
    names = {f"{Path(row['image']).parent.name}/{Path(row['image']).name}" for row in unpacked.train}
    table = "image,label\n" + "".join(f"{name},{index % 2}\n" for index, name in enumerate(sorted(names)))
    place = base / "packed" / "signs" / ("train" if parts else "")
    (place / "metadata.csv").write_text(table)
    assert {row["label"] for row in read(base, train="packed").train} == {"0", "1"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_paths(packed: bool, base: Path) -> None:
    names = [f"{row.parent.name}/{row.name}" for row in sorted((base / "p").glob("[ls]*/*.png"))]
    lines = [f"{name},{'ab'[index % 2]},{'train' if index < 12 else 'test'}" for index, name in enumerate(names)]
    (base / "p" / "metadata.csv").write_text("\n".join(["path,label,split", *lines]) + "\n")
    columns = {"image": "path"}
    place = "p"
    if packed:
        archived(base, "p")
        place = "p.zip"
    both = read(base, train=place, columns=columns)
    assert len(both.train) + len(both.validation) == 16 and {row["label"] for row in both.train} == {"a", "b"}
    if not packed:
        splits = read(base, train="p/metadata.csv#train", test="p/metadata.csv#test", columns=columns)
        assert splits.test is not None and len(splits.test) == 4 and len(splits.train) == 9
        assert "'dev' where there are 'train', 'test'" in complaint(base, train="p/metadata.csv#dev", columns=columns)


def test_a_table_that_names_what_is_not_there(base: Path) -> None:
    (base / "t.csv").write_text("image,label\n" + "".join(f"p/none{i}.png,{i % 2}\n" for i in range(9)))
    assert "data.train: 9 of 9 pictures (100.00%) cannot be read" in complaint(base, train="t.csv")
    assert "p/none0.png' (there is no such file)" in complaint(base, train="t.csv")
    assert "data.folders={image: FOLDER} says where relative paths start" in complaint(base, train="t.csv")


def test_settings_of_other_files_are_told(base: Path) -> None:
    told = "data.audio: has no effect: how pictures are read is data.image"
    assert told in read(base, audio={"rate": 8000}, image={"resize": [12, 12]}).warnings
    assert not any("has no effect" in each for each in read(base, image={"resize": [12, 12]}).warnings)


def test_few_that_do_not_open_are_left_out_and_told(base: Path) -> None:
    (base / "p" / "lying" / "0000.png").write_bytes(b"no picture")
    assert "1 of 16 pictures (6.25%) cannot be read" in complaint(base)
    splits = read(base, unreadable=0.1)
    assert len(splits.train) + len(splits.validation) == 15
    (said,) = splits.warnings
    assert "lying/0000.png' (cannot identify image file" in said and said.endswith("they are left out")
    assert len(unknown(spec(unknown="p", unreadable=0.1), ROWS, base)) == 15


def test_folds_and_few_of_each_class(base: Path) -> None:
    parts = [read(base, fold=f"{number}/4") for number in range(1, 5)]
    held = sorted(row["image"] for part in parts for row in part.validation)
    assert held == sorted(str(file) for file in (base / "p").glob("[ls]*/*.png"))
    few = read(base, per_class=2)
    assert sorted(row["label"] for row in few.train) == ["lying", "lying", "standing", "standing"]


def test_idx(base: Path) -> None:
    rows = [row["image"][..., 0] for row in tiny.pictured(10)]
    pictures = struct.pack(">HBB3I", 0, 8, 3, 10, 12, 12) + b"".join(row.tobytes() for row in rows)
    (base / "t-images-idx3-ubyte.gz").write_bytes(gzip.compress(pictures))
    assert "must have its labels beside it" in complaint(base, train="t-images-idx3-ubyte.gz")
    labels = struct.pack(">HBBI", 0, 8, 1, 10) + bytes(i % 2 for i in range(10))
    (base / "t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    splits = read(base, train="t-images-idx3-ubyte.gz")
    assert len(splits.train) + len(splits.validation) == 10 and splits.train[0]["image"].shape == (12, 12)
    first = digest(spec(train="t-images-idx3-ubyte.gz"), base, IMAGES)
    (base / "t-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels[:-1] + b"\x00"))
    assert digest(spec(train="t-images-idx3-ubyte.gz"), base, IMAGES) != first
    (base / "t-images-idx3-ubyte.gz").write_bytes(gzip.compress(pictures[:-5]))
    assert "must be an idx file" in complaint(base, train="t-images-idx3-ubyte.gz")


def test_the_digest_follows_the_bytes(base: Path) -> None:
    (base / "t.csv").write_text("image,label\np/lying/0000.png,a\np/standing/0001.png,b\n")
    for place in ("p", "t.csv"):
        first = digest(spec(train=place), base, IMAGES)
        assert digest(spec(train=place), base, IMAGES) == first
        shutil.copy(base / "q" / "test" / "lying" / "0002.png", base / "p" / "lying" / "0000.png")
        assert digest(spec(train=place), base, IMAGES) != first
        shutil.copy(base / "q" / "test" / "lying" / "0004.png", base / "p" / "lying" / "0000.png")


def test_rows_of_the_same_bytes_stay_together(base: Path) -> None:
    for file in sorted((base / "p" / "lying").glob("*.png")):
        shutil.copy(file, file.with_name(f"again-{file.name}"))
    splits = read(base, validation=0.3)
    ours, theirs = ({identity(row["image"]) for row in rows} for rows in (splits.train, splits.validation))
    assert theirs and not ours & theirs


def test_rows_in_the_store_are_files_again(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from edgesft.store.store import Store

    kept = load(spec(on_disk=True), ROWS, base, 0, Store(tmp_path / "store"))
    plain = read(base)
    assert list(kept.train) == list(plain.train) and isinstance(kept.train[0]["image"], File)
    assert isinstance(next(iter(kept.validation))["image"], File)


def test_bytes_in_parquet(base: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    files = sorted((base / "p").glob("[ls]*/*.png"))
    rows = [{"image": {"bytes": file.read_bytes(), "path": file.name}, "label": file.parent.name} for file in files]
    parquet.write_table(pyarrow.Table.from_pylist(rows), base / "p.parquet")
    splits = read(base, train="p.parquet")
    assert len(splits.train) == 12 and isinstance(splits.train[0]["image"], bytes)
    assert splits.inspected["train"].seen == {("size", "12x12"): 16, ("mode", "RGB"): 16}
    assert np.isin([identity(row["image"]) for row in splits.train], [identity(f.read_bytes()) for f in files]).all()


def test_nothing_of_the_kind(base: Path) -> None:
    (base / "empty").mkdir()
    (base / "empty" / "a.txt").write_text("x")
    archived(base, "empty")
    assert "must hold pictures, got none" in complaint(base, train="empty.zip")
