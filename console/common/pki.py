"""The console's own certificate authority, and the certificate with which it and its broker serve TLS.

Files alone, no Django: `make run` needs the broker's certificate before the console is there. Keys are P-256.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
_CLOCKS_DIFFER = timedelta(hours=1)


class CertificateError(Exception):
    """A certificate or key cannot be read, made or used; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of PEM files: a certificate (with its chain), its private key, and what those who connect trust."""

    certificate: Path
    key: Path
    authority: Path


def authority_files(home: Path) -> tuple[Path, Path]:
    """Certificate and key of the own authority."""
    return home / "ca" / "ca.crt", home / "ca" / "ca.key"


def server_files(home: Path) -> Files:
    folder = home / "tls"
    return Files(folder / "server.crt", folder / "server.key", authority_files(home)[0])


def ensure_authority(home: Path, now: datetime | None = None) -> Path:
    """The own authority's certificate, made with its key (0600) at first use. It is never replaced by itself:
    every host trusts exactly this one."""
    certificate, key = authority_files(home)
    if certificate.exists() and key.exists():
        return certificate
    if certificate.exists() or key.exists():
        raise CertificateError(
            f"{certificate.parent} has only one of ca.crt and ca.key. Restore the other one; or remove both, and "
            "join every host anew."
        )
    now = now or datetime.now(UTC)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Berth {now:%Y-%m-%d %H:%M}")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    made = (
        _builder(name, name, private.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(key, _key_pem(private))
    _write(certificate, made.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return certificate


def ensure_server(home: Path, names: Iterable[str], now: datetime | None = None) -> Files:
    """The server's certificate for these host names and addresses. It is made anew when it ends within
    `RENEW_BEFORE`, lacks one of the names, or is of another authority."""
    now, files, wanted = now or datetime.now(UTC), server_files(home), set(names)
    ensure_authority(home, now)
    authority = read_certificate(files.authority)
    if files.certificate.exists() and files.key.exists():
        present = read_certificate(files.certificate)
        if (
            wanted <= names_of(present)
            and present.not_valid_after_utc - now > RENEW_BEFORE
            and _issued(authority, present)
        ):
            return files
        wanted |= names_of(present)
    signer = _read_key(authority_files(home)[1])
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Berth console")])
    lifetime = min(SERVER_LIFETIME, authority.not_valid_after_utc - now)
    made = (
        _builder(name, authority.subject, private.public_key(), now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in sorted(wanted)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    # One file for both would do for Python, Redis wants two: key first, so that a certificate never lacks its own.
    _write(files.key, _key_pem(private), mode=_key_mode(files.key.parent))
    _write(files.certificate, made.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return files


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. Raises `CertificateError`."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"the certificate {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{path} holds no PEM certificate: {error}") from error


def names_of(certificate: x509.Certificate) -> set[str]:
    """Host names and addresses for which a server certificate holds."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return {*names.get_values_for_type(x509.DNSName), *addresses}


def pin(certificate: x509.Certificate) -> str:
    """SHA-256 of its public key (DER SubjectPublicKeyInfo, as RFC 7469 pins), hex: what a join command carries."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(key).hexdigest()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - _CLOCKS_DIFFER).not_valid_after(now + lifetime)


def _usage(**given: bool) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: given.get(name, False) for name in every})


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name)


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001  it names several, and each means no
        return False
    return True


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(f"the authority's key {path} cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"the authority's key {path} is not one that Berth made")
    return key


def _key_mode(folder: Path) -> int:
    """Where the folder lets its group in, that group may read the key: a Redis of another user is in it."""
    return 0o640 if folder.exists() and folder.stat().st_mode & 0o010 else 0o600


def _write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, with its mode from the first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(data)
        file.flush()
        os.fsync(handle)
    Path(name).replace(path)
