"""A certificate of our own, made at the first start, so that mail clients can encrypt at once (X.509, ECDSA P-256).

Not proof of who we are: clients ask once. A certificate and key put in its place are used instead.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE = "certificate.pem"
KEY = "key.pem"
# Limit: some clients refuse certificates that are valid for longer than this.
_DAYS = 825
_PKCS8 = serialization.PrivateFormat.PKCS8


def server_context(folder: Path, names: Sequence[str], wall: float) -> ssl.SSLContext:
    """TLS 1.2 and later with the certificate in `folder`; made for `names` when there is none or it has expired.

    Blocking: call it in a thread or before the loop is busy. Raises OSError or ssl.SSLError when the files are bad.
    """
    if not (folder / KEY).exists() or _expired(folder / CERTIFICATE, wall):
        make(folder, names, wall)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


def make(folder: Path, names: Sequence[str], wall: float) -> None:
    """Write a new key (readable by its owner only) and a self-signed certificate."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(key, [name for name in names if _usable(name)] or ["localhost"], wall)
    private = key.private_bytes(serialization.Encoding.PEM, _PKCS8, serialization.NoEncryption())
    _write(folder / KEY, private)
    _write(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))


def _signed(key: ec.EllipticCurvePrivateKey, names: Sequence[str], wall: float) -> x509.Certificate:
    now = datetime.fromtimestamp(wall, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _usable(name: str) -> bool:
    """What a certificate can hold: names of the operating system may be anything."""
    return 0 < len(name) <= 253 and name.isascii() and name.isprintable() and " " not in name


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _expired(path: Path, wall: float) -> bool:
    """Only a self-signed certificate is renewed: one that an authority signed is left alone."""
    if not path.exists():
        return True
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    ours = certificate.issuer == certificate.subject
    return ours and certificate.not_valid_after_utc.timestamp() < wall


def _write(path: Path, octets: bytes) -> None:
    """Whole or not at all."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
