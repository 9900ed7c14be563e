"""Generating text, pictures and speech with the model of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesft.measure.generation import Drawn, Said
    from edgesft.measure.synthesis import Spoken


def generate(
    run: str | Path,
    prompt: str | Sequence[Mapping[str, str]],
    max_tokens: int = 128,
    *,
    threads: int = 1,
    told: Callable[[str], None] = lambda _: None,
    **sampling: Any,
) -> Said:
    """Answers a prompt with the model of a text-generation or text-to-text run; greedily by default.

    Args:
        run: The run's folder.
        prompt: A text, or a list of messages {role, content}.
        max_tokens: Maximum length of the answer.
        threads: Threads of the runtime.
        told: Called with each new piece of the text.
        sampling: Fields of `edgesft.measure.generation.Sampling`: `temperature`, `top_k`, `top_p`, `seed`.

    Raises:
        InputError: There is no such model, or the prompt is empty or too long for it.
    """
    from edgesft.measure.generation import Sampling, Speaker

    return Speaker.of(Path(run), threads).say(prompt, max_tokens, Sampling(**sampling), told)


def draw(
    run: str | Path,
    count: int = 16,
    seed: int = 0,
    *,
    label: str | None = None,
    steps: int | None = None,
    threads: int = 1,
) -> Drawn:
    """Generates pictures with the model of an image-generation run.

    Args:
        run: The run's folder.
        count: Number of pictures.
        seed: The same seed gives the same pictures.
        label: Class of the pictures, if the model is conditioned on classes; by default each class in turn.
        steps: Inferences per picture of a diffusion model; by default the recipe's.
        threads: Threads of the runtime.

    Raises:
        InputError: There is no such model, or it has no such class or number of steps.
    """
    from edgesft.measure.generation import Painter

    return Painter(Path(run), threads).draw(count, seed, label=label, steps=steps)


def speak(run: str | Path, text: str, speaker: str | None = None, *, tempo: float = 1.0, threads: int = 1) -> Spoken:
    """Speaks a text with the model of a text-to-speech run. `save(path)` of the result writes a WAV file.

    Args:
        run: The run's folder.
        text: The text to speak.
        speaker: The voice, if the model has several.
        tempo: Speed relative to normal, 0.25 to 4.
        threads: Threads of the runtime.

    Raises:
        InputError: There is no such model or speaker, or the text cannot be spoken.
    """
    from edgesft.measure.synthesis import Voice

    return Voice.of(Path(run), threads).say(text, speaker, tempo)
