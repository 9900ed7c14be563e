"""Several processes that train together, on one machine or on many, as torchrun and `accelerate launch` start them.

The first process runs the command. The others wait; where something trains, they compute the gradient of their share
of each batch. Weights, optimiser, evaluation and files are the first one's alone, so that resuming and choosing the
best are as with one process: at each step it hands out the weights that changed, and takes in the gradients.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from edgesft import processes
from edgesft.errors import EdgesftError, UnavailableError

if TYPE_CHECKING:
    import torch
    from torch import nn

PATIENCE = datetime.timedelta(days=30)
"""How long the others wait for the first one, which measures for hours; a process that ends frees them at once."""

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE")
"""What a launcher sets, and libraries must not see: each would spread the work once more."""

OVER = -1
"""The step after the last one."""

NONE, DENSE, SPARSE = range(3)
"""Which gradient a parameter has."""

_in_step = True


@contextmanager
def joined() -> Iterator[int]:
    """Within it this process knows the others, if a launcher started some; yields its rank, 0 for the first.

    When the first one leaves, the others are told that nothing more is coming.

    Raises:
        UnavailableError: They do not find each other.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield 0
        return
    import torch
    from torch import distributed

    try:
        world, own = int(os.environ["WORLD_SIZE"]), int(os.environ.get("RANK", "0"))
        _take_device(int(os.environ.get("LOCAL_RANK", own)))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"the environment says WORLD_SIZE={os.environ['WORLD_SIZE']}: so many processes must find each other. "
            f"Got: {error}",
            "torchrun --standalone --nproc-per-node 2 -m edgesft run recipe.yaml",
        ) from error
    hidden = {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    try:
        with processes.known(world, own), _telling(lambda: send(None)):
            yield own
    finally:
        os.environ.update(hidden)
        distributed.destroy_process_group()


def _take_device(place: int) -> None:
    """Of several GPUs a process sees its own."""
    seen = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if not seen:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(place)
    elif place < len(seen):
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[place]


@contextmanager
def _telling(end: Callable[[], object]) -> Iterator[None]:
    """The first process says that it has come to an end, after an error of ours, too.

    Not within a step, where the others wait for its gradient and would take this for it: they end when it has ended.
    """
    try:
        yield
    except EdgesftError:
        if processes.rank() == 0 and _in_step:
            with suppress(UnavailableError):  # They may have gone for the same reason.
                end()
        raise
    if processes.rank() == 0:
        end()


@contextmanager
def _among_all() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise UnavailableError(
            f"training: another of the {processes.count()} processes has gone ({error})",
            "the same command, which goes on from the last checkpoint",
        ) from error


@contextmanager
def _within_step(*, ends: bool) -> Iterator[None]:
    global _in_step
    _in_step = False
    with _among_all():
        yield
    _in_step = ends


def send(order: Any) -> None:
    """Hands an object that can be pickled to the other processes; None where nothing more is coming.

    Raises:
        UnavailableError: Another process has gone.
    """
    from edgesft.train import pickling

    with _among_all():
        _broadcast(pickling.pack(order))


def receive() -> Any:
    """What the first process sent.

    Raises:
        InputError: A module of the user's own is not here.
        UnavailableError: The first process has gone.
    """
    from edgesft.train import pickling

    with _among_all():
        data = _broadcast()
    return pickling.unpack(data)


def _broadcast(data: memoryview | None = None) -> memoryview:
    """The bytes that the first process gives."""
    import torch
    from torch import distributed

    told = torch.tensor([len(data or b"")])
    distributed.broadcast(told, src=0)
    values = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(int(told), dtype=torch.uint8)
    distributed.broadcast(values, src=0)
    return values.numpy().data


@contextmanager
def exchanging(model: nn.Module) -> Iterator[Exchange | None]:
    """What the processes train a model by, each its own copy; None where this one is alone."""
    if processes.count() == 1:
        yield None
        return
    exchange = Exchange(model)
    with _telling(exchange.begin):
        yield exchange


class Exchange:
    """Weights from the first process to the others, gradients from all to the first, step by step.

    Every process makes one for its own copy of the model and calls the same methods in the same order.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = list(model.parameters())
        self._changed: list[tuple[int, torch.Tensor | None]] = [(place, None) for place in range(len(self._parameters))]
        """Which parameters the last step changed, and of tables which rows; before the first step, all."""

    def begin(self, step: int = OVER) -> int:
        """The step that the first process says, with its weights; the others say nothing.

        Returns:
            The step, or `OVER`.

        Raises:
            UnavailableError: Another process has gone.
        """
        import torch
        from torch import distributed

        told = torch.tensor([step])
        with _within_step(ends=False), torch.no_grad():
            distributed.broadcast(told, src=0)
            if int(told) != OVER:
                self._hand_out()
        return int(told)

    def _hand_out(self) -> None:
        import torch
        from torch import distributed

        held = [
            self._parameters[place] if rows is None else self._parameters[place][rows] for place, rows in self._changed
        ]
        flat = torch.cat([values.flatten() for values in held])
        distributed.broadcast(flat, src=0)
        if processes.rank() == 0:
            return
        for (place, rows), values in zip(self._changed, _split(flat, held), strict=True):
            if rows is None:
                self._parameters[place].copy_(values)
            else:
                self._parameters[place][rows] = values

    def combine(self, loss: float) -> float:
        """Sums the gradients and the losses of all processes. Afterwards the first has the sums, the others nothing.

        Raises:
            UnavailableError: Another process has gone.
        """
        with _within_step(ends=True):
            return self._sum(loss)

    def _sum(self, loss: float) -> float:
        import torch
        from torch import distributed

        kinds = torch.tensor([_kind(parameter.grad) for parameter in self._parameters])
        distributed.all_reduce(kinds, distributed.ReduceOp.MAX)
        self._changed = [
            (place, _rows(self._parameters[place]) if kind == SPARSE else None)
            for place, kind in enumerate(kinds.tolist())
            if kind != NONE
        ]
        held = [_values(self._parameters[place], rows) for place, rows in self._changed]
        told = torch.tensor([loss], device=self._parameters[0].device)
        flat = torch.cat([*(values.flatten() for values in held), told])
        distributed.reduce(flat, dst=0)
        for parameter in self._parameters:
            parameter.grad = None
        for (place, rows), values in zip(self._changed, _split(flat[:-1], held), strict=True):
            if processes.rank() == 0:
                self._parameters[place].grad = values if rows is None else _table(self._parameters[place], rows, values)
        return float(flat[-1])


def _kind(gradient: torch.Tensor | None) -> int:
    if gradient is None:
        return NONE
    return SPARSE if gradient.is_sparse else DENSE


def _rows(table: nn.Parameter) -> torch.Tensor:
    """The rows of a table that the batch of any process read."""
    import torch
    from torch import distributed

    read = torch.zeros(len(table), dtype=torch.uint8, device=table.device)
    if table.grad is not None:
        read[table.grad.coalesce().indices()[0]] = 1
    distributed.all_reduce(read, distributed.ReduceOp.MAX)
    return read.nonzero()[:, 0]


def _values(parameter: nn.Parameter, rows: torch.Tensor | None) -> torch.Tensor:
    """The gradient, zeros where this process has none; of a table that of these rows."""
    import torch

    gradient = parameter.grad
    if rows is None:
        return torch.zeros_like(parameter) if gradient is None else gradient
    values = parameter.new_zeros((len(rows), *parameter.shape[1:]), requires_grad=False)
    if gradient is not None:
        gradient = gradient.coalesce()
        values[torch.searchsorted(rows, gradient.indices()[0])] = gradient.values()
    return values


def _table(table: nn.Parameter, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.sparse_coo_tensor(rows[None], values, table.shape, is_coalesced=True)


def _split(flat: torch.Tensor, shapes: list[torch.Tensor]) -> list[torch.Tensor]:
    parts = flat.split([each.numel() for each in shapes])
    return [part.view(each.shape) for part, each in zip(parts, shapes, strict=True)]
