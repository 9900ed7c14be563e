"""Uploads a bundle to the Hugging Face hub, with its model card as the page."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, UnavailableError
from edgesft.progress import Progress
from edgesft.ship import integrity, seal
from edgesft.ship.card import CARD, HUB_ID
from edgesft.ship.finding import RefusedError
from edgesft.ship.pack import Order, pack
from edgesft.ship.source import Source, open_source

FOLDER, PAGE = "bundle", "README.md"
"""The bundle lies in a folder of its own: beside the page, whose file it does not list, it would not be whole."""

ENDPOINT = "HF_ENDPOINT"


@dataclass(frozen=True)
class Pushed:
    """What went, or would go.

    Attributes:
        to: `owner/name`.
        files: Name in the repository → bytes.
        page: The page's text.
        url: Of the commit; None where nothing was sent.
    """

    to: str
    files: Mapping[str, int]
    page: str
    url: str | None


def push(
    place: Path,
    to: str,
    *,
    private: bool = False,
    message: str | None = None,
    dry: bool = False,
    progress: Progress | None = None,
) -> Pushed:
    """Puts a bundle, or what a run left, on the hub in one commit, in place of the bundle that is there; a repository
    that is not there is made.

    Args:
        place: A bundle, or a run's folder, which is packed first.
        to: `owner/name`.
        private: Whether the repository is private if it is created.
        message: Of the commit; by default the bundle's name and version.
        dry: Send nothing.
        progress: Where to tell what goes on; by default standard error.

    Raises:
        InputError: The name is none, or the hub does not take it from this user, or not the page's metadata.
        RefusedError: The bundle is not whole, or the run does not keep its contract.
        UnavailableError: The hub cannot be reached.
    """
    _check(to)
    progress = progress or Progress()
    with _bundle(place, progress) as bundle:
        manifest, findings = integrity.check(bundle)
        if findings:
            raise RefusedError(findings)
        page = _page(bundle.read(CARD).decode("utf-8"), to, manifest.name)
        files = {PAGE: len(page.encode()), **{f"{FOLDER}/{name}": size for name, size in sorted(bundle.files.items())}}
        if dry:
            return Pushed(to, files, page, None)
        progress.say(f"sending {len(files)} files, {sum(files.values()) / 1e6:.1f} MB, to {to}")
        url = _send(bundle, to, page, private=private, message=message or f"{manifest.name} {manifest.version}")
        return Pushed(to, files, page, url)


def _check(to: str) -> None:
    """Refuses a name that the hub would, before anything is packed."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(to)
    except HFValidationError as error:
        raise InputError(f"--to must be a name that the hub takes: {error}", "--to me/my-model") from error
    if not HUB_ID.fullmatch(to):
        raise InputError(f"--to must be owner/name on the hub. Got {to!r}", "--to me/my-model")


@contextmanager
def _bundle(place: Path, progress: Progress) -> Iterator[Source]:
    if seal.is_bundle(place):
        yield open_source(place)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield open_source(pack(Order(place, Path(folder) / FOLDER), progress).path)


def _page(card: str, to: str, name: str) -> str:
    """The card, and how to have the bundle and check it."""
    how = f"hf download {to} --include '{FOLDER}/*' --local-dir {name}\nedgesft verify {name}/{FOLDER}\n"
    return f"{card.rstrip()}\n\n## How to get it\n\n```\n{how}```\n"


def _send(bundle: Source, to: str, page: str, *, private: bool, message: str) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(endpoint=os.environ.get(ENDPOINT))
    with tempfile.TemporaryDirectory() as folder:
        operations: list[Any] = [CommitOperationAdd(PAGE, page.encode())]
        for name in bundle.files:
            copy = Path(folder) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            bundle.copy(name, copy)
            operations.append(CommitOperationAdd(f"{FOLDER}/{name}", copy))
        with _refusals(to):
            api.create_repo(to, private=private, exist_ok=True)
            there = api.list_repo_files(to)
            operations += [CommitOperationDelete(name) for name in _stale(there, bundle)]
            done: Any = api.create_commit(to, operations=operations, commit_message=message)
    return str(done.commit_url)


def _stale(there: Iterable[str], bundle: Source) -> list[str]:
    """Files of a bundle that was pushed before; with them a download would not verify."""
    return [
        name for name in there if name.startswith(f"{FOLDER}/") and name.removeprefix(f"{FOLDER}/") not in bundle.files
    ]


@contextmanager
def _refusals(to: str) -> Iterator[None]:
    """Says in edgesft's errors what the hub's library raises."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        raise InputError(f"--to must be yours to write. The hub refused {to!r}", "hf auth login") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        told = str(error).strip().splitlines()[0]
        if status in (400, 401, 403, 404, 409):
            raise InputError(f"the hub refused {to!r}: {told}", "hf auth login, with a token that may write") from error
        raise UnavailableError(f"the hub failed: {told}", "the same command again, later") from error
    except (HTTPError, OSError) as error:
        raise UnavailableError(f"the hub cannot be reached: {error}", f"check the network, and {ENDPOINT}") from error
    except ValueError as error:  # so it says what the hub finds wrong with the page's metadata
        raise InputError(f"the hub refused {to!r}: {' '.join(str(error).split())}") from error
