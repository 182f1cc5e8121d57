"""Secrets sealed with AES-GCM, and what is derived from them: digest HA1, plain comparison.

Not a one-way hash: SIP digest needs the password or an HA1 for each realm and login (decision 8). The key lies in a
file of its own, so that a stolen database alone opens nothing. RFC 5116 §5.3, RFC 7616 §3.4.2.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import OrderedDict
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from base.entropy import Entropy
from base.failures import Failure

Algorithm = Literal["MD5", "SHA-256"]

NOBODY = 0
"""The account that nobody has; its password is there to make the work for unknown users the same."""

_KEY = 32
_NONCE = 12
_CACHED = 50_000  # Limit: derived values kept, about 150 bytes each.


def load_key(path: Path, entropy: Entropy) -> bytes:
    """The key of this server, made at first use, readable by its owner only. Raises Failure("unavailable")."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_key(path, entropy.octets(_KEY))
        key = path.read_bytes()
    except OSError as error:
        raise Failure("unavailable", f"cannot read the key file {path}", private=str(error)) from error
    if len(key) != _KEY:
        raise Failure("unavailable", f"the key file {path} is damaged: it must hold {_KEY} octets")
    return key


def _write_key(path: Path, key: bytes) -> None:
    """Written beside and renamed: a key is there whole or not at all, before anything is sealed with it."""
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Keyring:
    """Seals and opens. `purpose` is bound to the sealed octets, so that one account's secret fits no other."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        self._cipher = AESGCM(key)
        self._entropy = entropy

    def seal(self, text: str, purpose: str) -> bytes:
        nonce = self._entropy.octets(_NONCE)
        return nonce + self._cipher.encrypt(nonce, text.encode(), purpose.encode())

    def decoy(self, purpose: str) -> bytes:
        """Something sealed that stands for no secret; it takes no randomness, as nothing hangs on it."""
        nonce = bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, b"a password of nobody", purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> str:
        """Raises Failure("unavailable") when the key is not the one that sealed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Failure("unavailable", "a stored secret cannot be opened", private=purpose) from error


def same(one: str, other: str) -> bool:
    """Compare in a time that tells nothing, not even the length."""
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())


def derive_ha1(username: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """RFC 7616 §3.4.2: H(username ":" realm ":" password) in lower-case hexadecimal."""
    octets = f"{username}:{realm}:{password}".encode()
    # Interop: MD5 is what nearly every telephone speaks.
    digest = hashlib.md5(octets, usedforsecurity=False) if algorithm == "MD5" else hashlib.sha256(octets)
    return digest.hexdigest()


class DerivedCache:
    """HA1 values by (account, username, realm, algorithm), the least used ones dropped."""

    def __init__(self, limit: int = _CACHED) -> None:
        self._limit = limit
        self._values: OrderedDict[tuple[int, str, str, str], str] = OrderedDict()

    def get(self, key: tuple[int, str, str, str]) -> str | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: tuple[int, str, str, str], value: str) -> None:
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def forget(self) -> None:
        """Passwords change rarely: drop all rather than keep an index."""
        self._values.clear()
