"""What models of runs generate: texts, pictures, speech."""

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
    """Lets the model of a run of text-generation or text-to-text answer; greedily unless `sampling` says otherwise.

    Args:
        run: Folder that the run left.
        prompt: What is asked, or messages of {role, content}.
        max_tokens: Of the answer at most.
        threads: Of the runtime.
        told: Called with each new piece of the text.
        sampling: Fields of `edgesft.measure.generation.Sampling`: `temperature`, `top_k`, `top_p`, `seed`.

    Raises:
        InputError: There is no such model, nothing is asked, or more than it can remember.
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
    """Makes pictures by the model that a run of image-generation left.

    Args:
        run: Folder that the run left.
        count: How many.
        seed: The same one makes the same pictures.
        label: Class of all of them, where the model is told it; by default each in turn.
        steps: Of a diffusion model, inferences of a picture; by default those of the recipe.
        threads: Of the runtime.

    Raises:
        InputError: There is no such model, or it has no such class or steps.
    """
    from edgesft.measure.generation import Painter

    return Painter(Path(run), threads).draw(count, seed, label=label, steps=steps)


def speak(run: str | Path, text: str, speaker: str | None = None, *, tempo: float = 1.0, threads: int = 1) -> Spoken:
    """Lets the model that a run of text-to-speech left say a text; `save(path)` of what it returns writes a WAV file.

    Args:
        run: Folder that the run left.
        text: What to say.
        speaker: Who says it, where the model has several voices.
        tempo: How many times as fast as usual, 0.25 to 4.
        threads: Of the runtime.

    Raises:
        InputError: There is no such model or speaker, or the text cannot be said.
    """
    from edgesft.measure.synthesis import Voice

    return Voice.of(Path(run), threads).say(text, speaker, tempo)
