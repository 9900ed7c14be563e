"""Signatures, with keys and with certificates."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.ship import seal, sign
from edgesft.ship.finding import RefusedError
from edgesft.ship.sign import Signer, Trust
from edgesft.ship.verify import verify
from tests.ship import runs
from tests.ship.conftest import Keys

DIGESTS = {"a.json": "0" * 64, "b/c.bin": "1" * 64}


def test_a_signed_bundle_holds(signed: Path, keys: Keys) -> None:
    report = verify(signed, trust=Trust(keys.public))
    assert report.holds and report.checks["signature"] == "holds"
    assert verify(signed, rows=False).checks["signature"] == "not checked: no key was given"


def test_model_signing_s_own_command_verifies_it(signed: Path, keys: Keys) -> None:
    signature = signed / "signature.json"
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(signed), "--signature", str(signature)]
    done = subprocess.run([*command, "--public_key", str(keys.public)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_password(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(keys.private.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    how = serialization.BestAvailableEncryption(b"secret")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(key.private_bytes(pem, form, how))
    with pytest.raises(InputError, match="key must sign"):
        sign.sign(DIGESTS, "x", Signer(locked))
    monkeypatch.setenv(sign.PASSWORD, "secret")
    sign.verify(sign.sign(DIGESTS, "x", Signer(locked)), DIGESTS, "x", Trust(keys.public))


@pytest.mark.parametrize("text", ["", "no key"])
def test_keys_that_are_none(keys: Keys, tmp_path: Path, text: str) -> None:
    (tmp_path / "k").write_text(text)
    with pytest.raises(InputError, match="key must sign"):
        sign.sign(DIGESTS, "x", Signer(tmp_path / "k"))
    with pytest.raises(InputError, match="key must be a public one"):
        sign.verify(b"{}", DIGESTS, "x", Trust(tmp_path / "k"))
    with pytest.raises(InputError, match="file that exists"):
        sign.verify(b"{}", DIGESTS, "x", Trust(tmp_path / "none"))


def test_without_the_library(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing.signing", None)
    with pytest.raises(UnavailableError, match="edgesft\\[ship\\]"):
        sign.sign(DIGESTS, "x", Signer(keys.private))


def certificates(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A root, and a key with a certificate by it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def built(subject: str, key: ec.EllipticCurvePublicKey, *, root: bool) -> x509.Certificate:
        now = datetime.datetime(2026, 1, 1)
        usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        usage |= {"digital_signature": not root, "key_cert_sign": root, "crl_sign": False}
        builder = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(name)).public_key(key)
        builder = builder.serial_number(1 + root).not_valid_before(now).not_valid_after(now.replace(year=2099))
        builder = builder.add_extension(x509.BasicConstraints(root, None), critical=True)
        kind = x509.KeyUsage(**usage, encipher_only=False, decipher_only=False)
        return builder.add_extension(kind, critical=True).sign(above, hashes.SHA256())

    above, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM
    places = tuple(folder / f"{name}-{kind}.pem" for kind in ("root", "key", "certificate"))
    places[0].write_bytes(built(name, above.public_key(), root=True).public_bytes(pem))
    plain = serialization.NoEncryption()
    places[1].write_bytes(own.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    places[2].write_bytes(built(f"{name} signer", own.public_key(), root=False).public_bytes(pem))
    return places  # type: ignore[return-value]


def test_certificates(keys: Keys, tmp_path: Path) -> None:
    root, key, certificate = certificates(tmp_path, "ours")
    other, *_ = certificates(tmp_path, "theirs")
    signature = sign.sign(DIGESTS, "x", Signer(key, certificate))
    sign.verify(signature, DIGESTS, "x", Trust(roots=[root]))
    with pytest.raises(RefusedError, match="a trusted certificate"):
        sign.verify(signature, DIGESTS, "x", Trust(roots=[other]))
    with pytest.raises(RefusedError, match="must be as it was signed"):
        sign.verify(signature, {**DIGESTS, "a.json": "2" * 64}, "x", Trust(roots=[root]))
    with pytest.raises(InputError, match="does not match"):
        sign.sign(DIGESTS, "x", Signer(keys.private, certificate))
    with pytest.raises(RefusedError):
        sign.verify(signature, DIGESTS, "x", Trust(keys.public))


def test_a_signature_by_key_where_a_certificate_is_asked_for(keys: Keys, tmp_path: Path) -> None:
    root, *_ = certificates(tmp_path, "ours")
    with pytest.raises(RefusedError):
        sign.verify(sign.sign(DIGESTS, "x", Signer(keys.private)), DIGESTS, "x", Trust(roots=[root]))


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_bundle_that_is_there(bundle: Path, keys: Keys, tmp_path: Path, form: str) -> None:
    place = runs.copy(bundle, tmp_path / "b")
    if form == "archive":
        files = list(runs.contents(place).items())
        place = tmp_path / "b.zip"
        runs.zipped(files, place)
    seal.endorse(place, Signer(keys.other))
    seal.endorse(place, Signer(keys.private))
    report = verify(place, trust=Trust(keys.public), rows=False)
    assert report.holds, report.findings
    assert not verify(place, trust=Trust(keys.other_public), rows=False).holds
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_nobody_signs_what_differs(bundle: Path, keys: Keys, tmp_path: Path) -> None:
    broken = runs.copy(bundle, tmp_path / "b")
    runs.flip(broken / "golden.json")
    (broken / "extra").touch()
    (broken / "lineage.json").unlink()
    with pytest.raises(RefusedError) as refused:
        seal.endorse(broken, Signer(keys.private))
    assert {(each.kind, each.where) for each in refused.value.findings} == {
        ("changed", "golden.json"),
        ("extra", "extra"),
        ("missing", "lineage.json"),
    }
    assert not (broken / "signature.json").exists()
