"""Signatures over a bundle's files, made with model-signing: with your own key, or with a certificate.

What is signed is the digest of every file, the manifest's included, as model-signing's own command signs a folder: an
unpacked bundle can be verified by it, too (`model_signing verify key BUNDLE --signature BUNDLE/signature.json
--public_key KEY --ignore-paths BUNDLE/signature.json`).
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.errors import InputError, UnavailableError
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.manifest import SIGNATURE

PASSWORD = "EDGESFT_KEY_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable with the password of an encrypted private key."""

MOST_BYTES = 1 << 22
"""Of a signature: with 10 000 files it has half of that."""


@dataclass(frozen=True)
class Signer:
    """Who signs.

    Attributes:
        key: Private key, PEM, on one of the curves P-256, P-384 and P-521.
        certificate: Of that key, PEM; None signs by the key alone.
        chain: Certificates between it and the root that verifiers trust.
    """

    key: Path
    certificate: Path | None = None
    chain: Sequence[Path] = ()


@dataclass(frozen=True)
class Trust:
    """Whom a verifier trusts: a public key, or the roots of certificates.

    Attributes:
        key: Public key, PEM.
        roots: Certificates, PEM.
    """

    key: Path | None = None
    roots: Sequence[Path] = ()


def sign(digests: Mapping[str, str], name: str, signer: Signer) -> bytes:
    """The signature of files.

    Args:
        digests: File → sha256.
        name: Of the bundle.
        signer: Who signs.

    Raises:
        InputError: A key or certificate cannot be read, or they do not belong together.
        UnavailableError: model-signing is not installed.
    """
    signing = _library()
    password = os.environ.get(PASSWORD)
    paths = [signer.key, *([signer.certificate] if signer.certificate else []), *signer.chain]
    _require(paths)

    def make() -> bytes:
        config = signing.signing.Config().set_hashing_config(_digests(digests, name))
        if signer.certificate:
            # model-signing takes no empty chain; a certificate twice in it does no harm.
            chain = signer.chain or [signer.certificate]
            config.use_certificate_signer(
                private_key=signer.key, signing_certificate=signer.certificate, certificate_chain=chain
            )
        else:
            # model-signing hands the password on to a function that takes bytes.
            secret: Any = password.encode() if password else None
            config.use_elliptic_key_signer(private_key=signer.key, password=secret)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / SIGNATURE
            config.sign(folder, place)
            return place.read_bytes()

    return _quietly(
        make, lambda error: InputError(f"key must sign as given, got {_words(error)}", f"a PEM file; {PASSWORD}")
    )


def verify(signature: bytes, digests: Mapping[str, str], name: str, trust: Trust) -> None:
    """Checks that somebody trusted signed these files and no others.

    Args:
        signature: What `signature.json` holds.
        digests: File → sha256, as they are now.
        name: Of the bundle.
        trust: Whom to trust.

    Raises:
        RefusedError: Somebody else signed, the signature is damaged, or files differ from what was signed: each named.
        InputError: The trusted key or certificate cannot be read.
        UnavailableError: model-signing is not installed.
    """
    signing = _library()
    _require([*([trust.key] if trust.key else []), *trust.roots])

    def configured() -> Any:
        config = signing.verifying.Config().set_hashing_config(_digests(digests, name))
        if trust.key:
            return config.use_elliptic_key_verifier(public_key=trust.key)
        return config.use_certificate_verifier(certificate_chain=trust.roots)

    config = _quietly(
        configured, lambda error: InputError(f"key must be a public one, got {_words(error)}", "a PEM file")
    )

    def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / SIGNATURE
            place.write_bytes(signature)
            config.verify(folder, place)

    def refused(error: Exception) -> RefusedError:
        if str(error).startswith("Signature mismatch"):
            return RefusedError(_differences(signature, digests))
        whom = f"'{trust.key}'" if trust.key else "a trusted certificate"
        message = f"must be a signature by {whom}, got {_words(error)}"
        return RefusedError(
            Finding(message, "the packer's key; without it, do not trust this bundle", SIGNATURE, "signature")
        )

    _quietly(check, refused)


def _differences(signature: bytes, digests: Mapping[str, str]) -> list[Finding]:
    """Files that differ from what was signed, after the signature itself was found to be good."""
    payload = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    signed = {each["name"]: each["digest"] for each in payload["predicate"]["resources"]}
    found = [
        Finding("must be as it was signed, got other bytes", "do not trust this bundle", name, "changed")
        for name in sorted(set(signed) & set(digests))
        if signed[name] != digests[name]
    ]
    found += [
        Finding("must be there, it was signed; got no such file", None, name, "missing")
        for name in sorted(set(signed) - set(digests))
    ]
    found += [
        Finding("must be a file that was signed, got one that was not", None, name, "extra")
        for name in sorted(set(digests) - set(signed))
    ]
    return found


def _library() -> Any:
    try:
        import model_signing.signing
        import model_signing.verifying
    except ImportError as error:
        message = f"signatures need model-signing, which cannot be imported ({error})"
        raise UnavailableError(message, "pip install 'edgesft[ship]'") from error
    return model_signing


def _digests(digests: Mapping[str, str], name: str) -> Any:
    """What model-signing takes for the hashing of a folder: the digests that are known already."""
    from model_signing import hashing, manifest

    class Known(hashing.Config):
        def hash(self, model_path: Any, *, files_to_hash: Iterable[Any] | None = None) -> manifest.Manifest:
            told = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}
            kind = manifest.SerializationType.from_args(told)
            items = [
                kind.new_item(each, manifest.hashing.Digest("sha256", bytes.fromhex(digests[each])))
                for each in sorted(digests)
            ]
            return manifest.Manifest(name, items, kind)

    return Known()


def _quietly(work: Callable[[], Any], refused: Callable[[Exception], Exception]) -> Any:
    """Does something of model-signing's, which prints and raises errors of many libraries."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return work()
    except Exception as error:
        raise refused(error) from error


def _words(error: Exception) -> str:
    """An error in words; some of cryptography's have none."""
    name = type(error).__name__
    if name == "InvalidSignature":
        return "one that is not for this content"
    text = " ".join(str(error).split())
    return text[:200] if text else name


def _require(paths: Iterable[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise InputError(f"key or certificate must be a file that exists, got '{path}'", "a PEM file")
