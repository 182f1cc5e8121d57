"""Certificates of this server, shared by every door that speaks TLS: from files, by name, changed while it runs.

`certificate.pem` and `key.pem` in the folder are the first pair; each folder in it may hold one more. The names in a
certificate decide which is shown (SNI, RFC 6066 §3; wildcards RFC 6125 §6.4.3). Where there is none, one of our own is
made, so that clients can encrypt at once; it is no proof of who we are: clients ask once.
X.509, ECDSA P-256, TLS 1.2 and later.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from base.failures import Failure

CERTIFICATE = "certificate.pem"
KEY = "key.pem"
PAIRS = ((CERTIFICATE, KEY), ("fullchain.pem", "privkey.pem"))
"""File names of a pair; the second are those that ACME clients write."""
MOST = 1000
"""Limit: certificates in the folder."""
# Limit: some clients refuse certificates that are valid for longer than this.
_DAYS = 825
_PKCS8 = serialization.PrivateFormat.PKCS8


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate in use. `expires_at` is wall time."""

    folder: str
    names: tuple[str, ...]
    issuer: str
    expires_at: float
    context: ssl.SSLContext


class Certificates:
    """`context` is for listeners: it stays the same object while what it shows is changed by `reload`."""

    def __init__(self, folder: Path, names: Sequence[str], wall: Callable[[], float]) -> None:
        """Blocking. Makes a pair for `names` when the folder has none. Raises Failure("unavailable")."""
        self._folder = folder
        self._names = names
        self._wall = wall
        self._shown: tuple[Shown, ...] = ()
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._stamps: tuple[tuple[str, int, int], ...] = ()
        self.reload()
        self.context = _context(self._pair(self._folder))
        self.context.sni_callback = self._choose

    def reload(self) -> Sequence[Shown]:
        """Read the files again; blocking. Handshakes from now on see what they hold, open connections are not touched.

        Raises Failure("unavailable") when one cannot be used; then all stays as it was.
        """
        stamps = self._look()
        try:
            if self._pair(self._folder) is None or self._expired(self._folder / CERTIFICATE):
                make(self._folder, self._names, self._wall())
                stamps = self._look()
            folders = [self._folder, *sorted(each for each in self._folder.iterdir() if each.is_dir())[:MOST]]
            shown = tuple(_read(folder, pair) for folder in folders if (pair := self._pair(folder)) is not None)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise Failure("unavailable", f"a certificate cannot be used: {error}") from error
        self._stamps, self._shown = stamps, shown
        self._by_name = {name: each.context for each in reversed(shown) for name in each.names}
        return shown

    @property
    def shown(self) -> Sequence[Shown]:
        return self._shown

    def changed(self) -> bool:
        """True when the files are not those that were read. Blocking, but short."""
        return self._look() != self._stamps

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called in every handshake, with the name that the client asked for, if any."""
        connection.context = self.pick(name)

    def pick(self, name: str | None) -> ssl.SSLContext:
        """What is shown to a client that asks for `name`; the first pair for those unknown."""
        asked = (name or "").lower().rstrip(".")
        wild = f"*.{asked.partition('.')[2]}"
        return self._by_name.get(asked) or self._by_name.get(wild) or self._shown[0].context

    def _pair(self, folder: Path) -> tuple[Path, Path] | None:
        for certificate, key in PAIRS:
            if (folder / certificate).exists() and (folder / key).exists():
                return folder / certificate, folder / key
        return None

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """Name, time and size of every file that counts."""
        found: list[tuple[str, int, int]] = []
        for pattern in ("*.pem", "*/*.pem"):
            for path in self._folder.glob(pattern):
                try:
                    state = path.stat()
                except OSError:
                    continue  # it is being replaced
                found.append((str(path), state.st_mtime_ns, state.st_size))
        return tuple(sorted(found))

    def _expired(self, path: Path) -> bool:
        """Only a self-signed certificate is renewed: one that an authority signed is left alone."""
        if not path.exists():
            return False
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        ours = certificate.issuer == certificate.subject
        return ours and certificate.not_valid_after_utc.timestamp() < self._wall()


def client_context(*, verify: bool, authorities: str = "") -> ssl.SSLContext:
    """For connections that we open. `authorities`: a file of further certificates to trust besides the system's.

    Raises OSError when the file cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities:
        context.load_verify_locations(authorities)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def make(folder: Path, names: Sequence[str], wall: float) -> None:
    """Write a new key (readable by its owner only) and a self-signed certificate."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(key, [name for name in names if _usable(name)] or ["localhost"], wall)
    private = key.private_bytes(serialization.Encoding.PEM, _PKCS8, serialization.NoEncryption())
    _write(folder / KEY, private)
    _write(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))


def _read(folder: Path, pair: tuple[Path, Path]) -> Shown:
    certificate = x509.load_pem_x509_certificate(pair[0].read_bytes())
    issuer = certificate.issuer.rfc4514_string()
    return Shown(
        folder.name, _names_of(certificate), issuer, certificate.not_valid_after_utc.timestamp(), _context(pair)
    )


def _context(pair: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(each.value).lower() for each in common)
    addresses = [str(each) for each in others.get_values_for_type(x509.IPAddress)]
    return (*(name.lower() for name in others.get_values_for_type(x509.DNSName)), *addresses)


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


def _write(path: Path, octets: bytes) -> None:
    """Whole or not at all."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
