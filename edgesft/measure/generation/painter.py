"""Pictures of the folder of a run that ended with a model that generates them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesft.errors import InputError
from edgesft.measure import run_folder
from edgesft.measure.generation.decoder import CPU
from edgesft.tasks.base import Batch
from edgesft.tasks.generators.generator import GENERATION, Generator
from edgesft.tasks.image_generation import ImageGeneration

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True)
class Drawn:
    """What was made.

    Attributes:
        pictures: uint8 of shape [pictures, height, width, channels].
        labels: Class of each, where the model is told it.
        picture_ns: Of each, from chance to whole numbers.
        step_ns: Of each inference.
        colour: Of the channels: RGB, BGR or L.
    """

    pictures: np.ndarray
    labels: tuple[str, ...]
    picture_ns: list[int]
    step_ns: list[int]
    colour: str = "RGB"

    def grid(self) -> np.ndarray:
        """All pictures beside and below each other, as square as it goes; uint8 of shape [height, width, channels]."""
        count, height, width, channels = self.pictures.shape
        across = int(np.ceil(np.sqrt(count)))
        down = -(-count // across)
        whole = np.zeros((down * across, height, width, channels), np.uint8)
        whole[:count] = self.pictures
        rows = whole.reshape(down, across, height, width, channels).transpose(0, 2, 1, 3, 4)
        return rows.reshape(down * height, across * width, channels)

    def save(self, path: str | Path) -> None:
        """Writes the grid as a picture of the kind that the name ends in.

        Raises:
            InputError: There is no such kind, or it cannot be written there.
        """
        from PIL import Image

        grid = self.grid()
        ordered = grid[..., 0] if self.colour == "L" else grid[..., ::-1] if self.colour == "BGR" else grid
        try:
            Image.fromarray(ordered).save(path)
        except (OSError, ValueError) as error:
            raise InputError(
                f"output must be a picture that can be written, got '{path}': {error}", "grid.png"
            ) from error


class Painter:
    """A run's model."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Loads the model on the CPU provider.

        Args:
            folder: That the run left.
            threads: Intra-op threads.

        Raises:
            InputError: It holds no model, or one that makes no pictures.
        """
        import onnxruntime

        self.contract, _ = run_folder.open_run(folder, ImageGeneration)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(folder / run_folder.MODEL), settings, providers=[CPU])

    def draw(
        self,
        count: int = 16,
        seed: int = 0,
        *,
        label: str | None = None,
        steps: int | None = None,
        told: Callable[[], None] = lambda: None,
    ) -> Drawn:
        """Makes pictures one by one, as a device does.

        Args:
            count: How many.
            seed: The same one makes the same pictures.
            label: Class of all of them, where the model is told it; by default each in turn.
            steps: Of a diffusion model, inferences of a picture; by default those of the recipe.
            told: Called with each picture that is done.

        Raises:
            InputError: Nothing is asked for; there is no such class, or are not so many steps.
        """
        if count < 1 or seed < 0:
            raise InputError(f"count must be at least 1 and seed at least 0, got {count} and {seed}")
        processor, classes = self._processor(steps), self._classes(count, label)
        bound = Bound(self._session, processor.outputs[0], processor.shape)
        pictures, times = [], []
        for number in range(count):
            began = time.perf_counter_ns()
            index = np.asarray([classes[number]], np.int64) if classes else None
            made = processor.made(bound, processor.starts([(seed, number)]), index)
            pictures.append(processor.drawn(made))
            times.append(time.perf_counter_ns() - began)
            told()
        names = tuple(self.contract.labels[index] for index in classes)
        return Drawn(np.concatenate(pictures), names, times, bound.times, processor.spec.colour)

    def _processor(self, steps: int | None) -> Generator:
        processor = ImageGeneration().load_processor(None, self.contract)
        if steps is None:
            return processor
        if processor.generation.method != "diffusion":
            raise InputError(f"steps must be left out for an {processor.generation.method}, got {steps}")
        if not 1 <= steps <= processor.generation.trained:
            most = processor.generation.trained
            raise InputError(f"steps must be from 1 to {most}, on which the model was trained, got {steps}")
        said = {**self.contract.options[GENERATION], "steps": steps}
        return ImageGeneration().load_processor(None, self.contract.extended({GENERATION: said}))

    def _classes(self, count: int, label: str | None) -> list[int]:
        known = self.contract.labels
        if label is None:
            return [number % len(known) for number in range(count)] if known else []
        if label not in known:
            able = f"must be one of {', '.join(known)}" if known else "must be left out: the model is told no class"
            raise InputError(f"label {able}, got {label!r}")
        return [known.index(label)] * count


class Bound:
    """Inferences of one picture each whose output lies in either of two buffers: what the next one is fed lies there
    already, and nothing is copied. What an inference gives is gone after the one after the next.

    Attributes:
        times: Nanoseconds of each.
    """

    def __init__(self, session: onnxruntime.InferenceSession, output: str, shape: Sequence[int]) -> None:
        self.times: list[int] = []
        self._session, self._output = session, output
        self._buffers = [np.empty((1, *shape), np.float32) for _ in range(2)]

    def __call__(self, feeds: Mapping[str, np.ndarray], graph: str = "model") -> Batch:
        """The output by its name."""
        began = time.perf_counter_ns()
        fed = [id(array) for array in feeds.values()]
        buffer = next(each for each in self._buffers if id(each) not in fed)
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        binding.bind_output(self._output, "cpu", 0, np.float32, list(buffer.shape), buffer.ctypes.data)
        self._session.run_with_iobinding(binding)
        self.times.append(time.perf_counter_ns() - began)
        return {self._output: buffer}
