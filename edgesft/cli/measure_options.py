"""What the commands that measure share: what is fed, on which profile and provider, by which interpreter."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edgesft.cli import numbers
from edgesft.errors import InputError
from edgesft.spec.profile import Io, Scenario

if TYPE_CHECKING:
    from edgesft.measure.bench.order import Order
    from edgesft.measure.devices import Device
    from edgesft.spec.profile import ProfileSpec, ProviderSpec

PIPELINE = "pipeline."
"""Settings that are the pipeline's, and not the profile's, begin so."""


def arguments(parser: argparse.ArgumentParser, profile: str | None) -> None:
    """Declares them.

    Args:
        parser: Of the command.
        profile: The default one.
    """
    told = f" (default: {profile})" if profile else ""
    parser.add_argument("--profile", default=profile, help=f"device profile: a name or a file{told}")
    parser.add_argument(
        "--provider",
        action="append",
        metavar="X[:OPTION=V,…]",
        help="execution provider; may be repeated; `all` measures every available one",
    )
    parser.add_argument(
        "--device",
        action="append",
        metavar="D",
        help="where to measure: an interpreter, ssh://user@host[:port], or a name of --devices; may be repeated",
    )
    parser.add_argument("--devices", type=Path, metavar="FILE", help="devices file (default: devices.yaml here)")
    parser.add_argument("--scenario", choices=get_args(Scenario), help="how requests arrive")
    parser.add_argument(
        "--io",
        choices=get_args(Io),
        help="host: latency includes copies to and from an accelerator; device: inputs and outputs stay in its memory",
    )
    parser.add_argument(
        "--inputs", type=Path, help="npz file of requests; for end-to-end and pipeline, a file of raw rows"
    )
    parser.add_argument("--axis", action="append", metavar="NAME=N", help="size of a dynamic axis, for random inputs")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="rows per request")
    parser.add_argument(
        "--state", action="append", metavar="IN=OUT", help="output that is fed back into an input at the next inference"
    )
    parser.add_argument("--pipeline", help="for end-to-end and pipeline: text, image, audio or a Python file")
    parser.add_argument(
        "--allow-cpu", action="store_true", help="continue even if a provider leaves every node to the CPU"
    )
    parser.add_argument(
        "--python", type=Path, metavar="EXE", help="Python interpreter whose onnxruntime runs the models"
    )
    parser.add_argument(
        "--time-limit",
        type=numbers.positive,
        default=900.0,
        metavar="S",
        help="longest wait for the measuring process, in seconds",
    )
    parser.add_argument(
        "--seed",
        type=numbers.natural,
        default=0,
        metavar="N",
        help="random seed of inputs and of the order within rounds",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def split(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Files and `a.b=c` values among the words of a command line."""
    models = [Path(word) for word in words if "=" not in word or _exists(word)]
    return models, [word for word in words if Path(word) not in models]


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except OSError:  # A value may be longer than any name of a file.
        return False


def order(options: argparse.Namespace, models: Sequence[Path], settings: Sequence[str], folder: Path = Path()) -> Order:
    """What the command line asks to measure.

    Args:
        options: What `arguments` declared.
        models: ONNX or ORT files.
        settings: `a.b=c` values of the profile and, with `pipeline.` before them, of the pipeline.
        folder: That a profile's file is named from.

    Raises:
        InputError: An option or a setting makes no sense.
    """
    from edgesft.measure.bench.order import Order

    profile = _profile(options, [word for word in settings if not word.startswith(PIPELINE)], folder)
    of_profile = {provider.name: provider for provider in profile.providers}
    asked = [provider(text, of_profile) for text in _every(options.provider or [profile.providers[0].name])]
    if options.batch < 1:
        raise InputError(f"--batch must be at least 1, got {options.batch}")
    axes = _pairs(options.axis, "axis", "--axis sequence=64")
    return Order(
        models=models,
        profile=profile,
        providers=asked,
        inputs=options.inputs,
        axes={name: _size(name, size) for name, size in axes.items()},
        batch=options.batch,
        states=_pairs(options.state, "state", "--state h=hn") if options.state else None,
        pipeline=options.pipeline,
        pipeline_settings=[word.removeprefix(PIPELINE) for word in settings if word.startswith(PIPELINE)],
        allow_cpu=options.allow_cpu,
        devices=_devices(options),
        time_limit=options.time_limit,
        seed=options.seed,
    )


@contextmanager
def connected(order: Order) -> Iterator[None]:
    """Gives back what devices opened, however the command ends."""
    try:
        yield
    finally:
        for device in order.devices:
            device.close()


def device(options: argparse.Namespace) -> Device:
    """The one device that `--device` names, of the command line or of a file; by default this interpreter.

    Raises:
        InputError: It names none.
    """
    from edgesft.measure.devices import HERE
    from edgesft.measure.devices.find import find, pool

    return find(options.device, *pool(options.devices)) if options.device else HERE


def _profile(options: argparse.Namespace, settings: list[str], folder: Path) -> ProfileSpec:
    """The profile; what ships as typical of a device is no budget of this model unless it is asked for."""
    from edgesft.spec import load

    asked = [f"measure.{name}={value}" for name in ("scenario", "io") if (value := getattr(options, name))]
    own = load.is_file(options.profile)
    without = () if own else ("budget",)
    return load.profile(options.profile, folder, [*asked, *settings], without=without)


def _pairs(words: list[str] | None, name: str, example: str) -> dict[str, str]:
    """`a=b` words as a mapping; a name may have a `=` in it, as it is the model's."""
    pairs = [word.rpartition("=") for word in words or []]
    if wrong := ["".join(pair) for pair in pairs if not all(pair)]:
        raise InputError(f"{name} must be a name and a value, got {', '.join(wrong)}", example)
    names = [left for left, _, _ in pairs]
    if twice := [left for left in dict.fromkeys(names) if names.count(left) > 1]:
        raise InputError(f"{name} must be given once for each name, got {', '.join(twice)} more than once", example)
    return {left: right for left, _, right in pairs}


def _every(texts: Sequence[str]) -> list[str]:
    """The providers that are named; `all` stands for every one there is."""
    from edgesft.measure.providers import PROVIDERS
    from edgesft.measure.providers.find import ALL

    if ALL not in texts:
        return list(texts)
    named = {text.partition(":")[0].lower(): text for text in texts if text != ALL}
    return [named.get(provider.short, provider.short) for provider in PROVIDERS.values()]


def provider(text: str, of_profile: Mapping[str, ProviderSpec]) -> ProviderSpec:
    """`qnn:soc_model=57`: a provider with the profile's options, and those that stand here in their place.

    Raises:
        InputError: There is no such provider, or an option has no value.
    """
    from edgesft.measure import providers
    from edgesft.spec.profile import ProviderSpec

    name, colon, rest = text.partition(":")
    found = providers.resolve(name)
    given = _pairs(rest.split(","), "provider", "--provider qnn:soc_model=57") if colon else {}
    spec = of_profile.get(found, ProviderSpec(name=found))
    return providers.with_defaults(spec.model_copy(update={"options": {**spec.options, **given}}))


def _devices(options: argparse.Namespace) -> tuple[Device, ...]:
    """The devices that are named, of the command line or of a file; by default this interpreter."""
    from edgesft.measure.devices import HERE, Interpreter
    from edgesft.measure.devices.find import find, pool

    known, base = pool(options.devices)
    found = [find(text, known, base) for text in options.device or ()]
    if path := options.python:
        # A bare name is looked for where the shell looks; links of environments stay, for they say where packages lie.
        found.append(Interpreter(path.absolute() if path.is_file() else path))
    return tuple(found) or (HERE,)


def _size(name: str, text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"axis '{name}' must be a whole number, got {text!r}", f"--axis {name}=64")
    return int(text)
