"""Rows that lie in Arrow files on the disk and are mapped into memory: looked at like a list of dicts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from edgesft.data.chunks import chunks
from edgesft.data.media.medium import File
from edgesft.errors import InputError, UnavailableError

Row = Mapping[str, Any]

NAME = "rows-{}.arrow"
"""Of a file, by its number."""

ABSENT = "\0absent"
"""Column with the keys that a row lacks: to a task that is not the same as a value that is None."""

JSON = {b"edgesft": b"json"}
"""Metadata of a column whose values are written as JSON: those with mappings that lack keys which others of them have.
Arrow has no word for that."""

HINT = "write all values of a column alike, for example as text; or leave data.on_disk out"


class Rows(Sequence[Row]):
    """Rows of Arrow files, one file after the other, or some of them; each row is made when it is asked for."""

    def __init__(
        self,
        files: Sequence[Path],
        columns: Sequence[str],
        chosen: np.ndarray | None = None,
        media: frozenset[str] = frozenset(),
    ) -> None:
        """Maps the files.

        Args:
            files: What `write` wrote.
            columns: Keys of the rows.
            chosen: Indices of those to be seen, ascending; by default all.
            media: Columns whose texts are a `File` each.
        """
        self._files, self._columns, self._chosen, self._media = files, columns, chosen, media
        self._batches = [_of(batch, columns) for file in files for batch in _batches(file)]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])

    def chosen(self, indices: np.ndarray) -> Rows:
        """Some of the rows, by ascending indices."""
        places = indices if self._chosen is None else self._chosen[indices]
        return Rows(self._files, self._columns, places, self._media)

    def seen(self, columns: Sequence[str]) -> Rows:
        """The same rows with these columns only."""
        return Rows(self._files, columns, self._chosen, self._media)

    @property
    def numbers(self) -> Sequence[int]:
        """The place of each row among all of the files, counted from 1."""
        return range(1, len(self) + 1) if self._chosen is None else (self._chosen + 1).tolist()

    def __len__(self) -> int:
        return int(self._starts[-1]) if self._chosen is None else len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        place = places if self._chosen is None else int(self._chosen[places])
        number = int(np.searchsorted(self._starts, place, "right")) - 1
        batch = self._batches[number].slice(place - int(self._starts[number]), 1)
        return next(self._as_read(batch))

    def __iter__(self) -> Iterator[Row]:
        for batch, start, end in zip(self._batches, self._starts, self._starts[1:], strict=False):
            if self._chosen is not None:
                first, last = np.searchsorted(self._chosen, [start, end])
                batch = batch.take(_library().array(self._chosen[first:last] - start))
            yield from self._as_read(batch)

    def _as_read(self, batch: Any) -> Iterator[Row]:
        """The rows as they were written: without the keys that they lacked, and their files as such."""
        texts = [field.name for field in batch.schema if field.metadata == JSON]
        for row in batch.to_pylist():
            row |= {name: json.loads(row[name]) for name in texts if row[name] is not None}
            for name in row.pop(ABSENT) or ():
                row.pop(name, None)
            row |= {name: File(row[name]) for name in self._media if isinstance(row.get(name), str)}
            yield row


class Chosen(list[Row]):
    """Some rows of others, and which of those they were.

    Attributes:
        numbers: The place of each among all that were read, counted from 1.
    """

    def __init__(self, rows: Iterable[Row], numbers: Sequence[int]) -> None:
        super().__init__(rows)
        self.numbers = numbers


def chosen(rows: Sequence[Row], indices: np.ndarray) -> Sequence[Row]:
    """Some of the rows, by ascending indices: those of the disk stay there."""
    if isinstance(rows, Rows):
        return rows.chosen(indices)
    return Chosen((rows[index] for index in indices), np.asarray(numbers(rows), int)[indices].tolist())


def numbers(rows: Sequence[Row]) -> Sequence[int]:
    """The place of each row among all that were read, counted from 1, also where these are but some of them."""
    return rows.numbers if isinstance(rows, Rows | Chosen) else range(1, len(rows) + 1)


def numbered(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Each row behind its number."""
    return zip(numbers(rows), rows, strict=True)


def seen(rows: Sequence[Row], columns: Sequence[str]) -> Sequence[Row]:
    """The rows with these columns only."""
    if isinstance(rows, Rows):
        return rows.seen(columns)
    narrow = [{name: row[name] for name in columns if name in row} for row in rows]
    return Chosen(narrow, numbers(rows))


def write(rows: Iterable[Row], folder: Path, place: object) -> list[Path]:
    """Writes rows into Arrow files, which `Rows` reads.

    Args:
        rows: One or more; not all need have the same keys.
        folder: Where to write.
        place: Where the rows are from.

    Returns:
        The files in the order of the rows: one, and a further one wherever a column has its first value, or mappings
        of other keys, later on.

    Raises:
        InputError: A column holds values of several kinds, or such that Arrow has no type for.
        UnavailableError: pyarrow is not installed.
    """
    pyarrow, files = _library(), list[Path]()
    for number, (schema, batches) in enumerate(itertools.groupby(_made(rows, place), lambda batch: batch.schema)):
        files.append(folder / NAME.format(number))
        with pyarrow.ipc.new_file(str(files[-1]), schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
    return files


def files(folder: Path) -> list[Path]:
    """What `write` wrote into a folder."""
    return sorted(folder.glob(NAME.format("*")), key=lambda file: int(file.stem.rpartition("-")[2]))


def _made(rows: Iterable[Row], place: object) -> Iterator[Any]:
    """Record batches; a column is added, or gets its type, where it has its first value."""
    pyarrow, known = _library(), dict[str, Any]()
    kinds: dict[str, type] = {}
    for chunk in chunks(rows):
        _check_kinds(chunk, kinds, place)
        names = list(dict.fromkeys([*known, *itertools.chain.from_iterable(chunk)]))
        absent = [[name for name in names if name not in row] or None for row in chunk]
        try:
            made = [_column(name, [row.get(name) for row in chunk], known.get(name)) for name in names]
        except (pyarrow.ArrowException, UnicodeError, OverflowError) as error:
            raise InputError(f"data.on_disk: {place} must hold values of one kind in a column: {error}", HINT) from None
        except TypeError as error:
            message = f"data.on_disk: {place} must hold texts and numbers where keys differ from row to row"
            raise InputError(f"{message}: {error}", "leave data.on_disk out") from None
        known = {field.name: None if _open(field.type) else field for _, field in made}
        made.append(_column(ABSENT, absent, pyarrow.field(ABSENT, pyarrow.list_(pyarrow.string()))))
        arrays, fields = zip(*made, strict=True)
        yield pyarrow.RecordBatch.from_arrays(list(arrays), schema=pyarrow.schema(fields))


def _column(name: str, values: Sequence[Any], known: Any) -> tuple[Any, Any]:
    """Values as Arrow holds them, of the type of those before; and the field, which tells the type to those behind."""
    pyarrow = _library()
    if known is None or known.metadata is None:
        array = pyarrow.array(values, known and known.type)
        # Of mappings Arrow leaves out without a word what has no place in the type, and fills up what is not there.
        if not _within(array.type, pyarrow.types.is_struct) or array.to_pylist() == values:
            return array, pyarrow.field(name, array.type)
    texts = [None if value is None else json.dumps(value) for value in values]
    return pyarrow.array(texts, pyarrow.string()), pyarrow.field(name, pyarrow.string(), metadata=JSON)


def _open(kind: Any) -> bool:
    """Whether a type, or a part of it, is of no value yet: of `null`, or lists that were all empty."""
    return _within(kind, _library().types.is_null)


def _within(kind: Any, is_such: Callable[[Any], bool]) -> bool:
    """Whether a type, or a part of it, is such a one."""
    return is_such(kind) or any(_within(kind.field(place).type, is_such) for place in range(kind.num_fields))


def _check_kinds(chunk: Sequence[Row], kinds: dict[str, type], place: object) -> None:
    """Arrow would take a whole float for an integer, or the other way round, without a word."""
    for row in chunk:
        for name, value in row.items():
            if isinstance(value, np.ndarray):
                raise InputError(f"data.on_disk: {place} must hold texts and numbers, got arrays", "leave it out")
            if value is not None and (kind := kinds.setdefault(name, type(value))) is not type(value):
                message = f"data.on_disk: a column of {place} must hold values of one kind, got "
                raise InputError(f"{message}{kind.__name__} and {type(value).__name__} in {name!r}", HINT)


def _batches(file: Path) -> Sequence[Any]:
    pyarrow = _library()
    batches: Sequence[Any] = pyarrow.ipc.open_file(pyarrow.memory_map(str(file), "r")).read_all().to_batches()
    return batches


def _of(batch: Any, columns: Sequence[str]) -> Any:
    return batch.select([name for name in (*columns, ABSENT) if name in batch.schema.names])


def _library() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise UnavailableError("data.on_disk: needs pyarrow", "pip install 'edgesft[parquet]'") from error
    return pyarrow
