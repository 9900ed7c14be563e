"""A run, its bundle, and keys, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgesft.progress import Progress
from edgesft.ship.pack import Order, pack
from edgesft.ship.sign import Signer
from tests.ship import runs

QUIET = Progress(quiet=True)


@dataclass(frozen=True)
class Keys:
    """Files of keys; read only."""

    private: Path
    public: Path
    other: Path
    other_public: Path


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that a run left; read only."""
    return runs.write(tmp_path_factory.mktemp("ship"))


@pytest.fixture(scope="session")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle in a folder; read only."""
    return pack(Order(run, tmp_path_factory.mktemp("bundle") / "words", name="words", version=3), QUIET).path


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Two pairs of keys."""
    pytest.importorskip("model_signing.signing")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, form, plain))
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / f"{name}.pub").write_bytes(key.public_key().public_bytes(pem, spki))
    return Keys(*(folder / name for name in ("ours.pem", "ours.pub", "theirs.pem", "theirs.pub")))


@pytest.fixture(scope="session")
def signed(run: Path, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, signed; read only."""
    out = tmp_path_factory.mktemp("signed") / "words"
    order = Order(run, out, name="words", version=3, variants=("model",), signer=Signer(keys.private))
    return pack(order, QUIET).path
