"""The one place where randomness is drawn. Tests hand out a `SeededEntropy`; the server a `SystemEntropy`."""

from __future__ import annotations

import os
import random
import secrets
from typing import Protocol

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


class Entropy(Protocol):
    """A source of unguessable values."""

    def token(self, octets: int = 12) -> str:
        """Lower-case hexadecimal text of `octets` random octets (tags, branches, Call-IDs, nonces)."""

    def octets(self, count: int) -> bytes:
        """`count` random octets (keys)."""

    def number(self, low: int, high: int) -> int:
        """An integer, both ends included."""

    def password(self, length: int = 12) -> str:
        """A password that can be read out loud: no 0, 1, l, o."""


class SystemEntropy:
    """The operating system's generator."""

    def token(self, octets: int = 12) -> str:
        return os.urandom(octets).hex()

    def octets(self, count: int) -> bytes:
        return os.urandom(count)

    def number(self, low: int, high: int) -> int:
        return low + secrets.randbelow(high - low + 1)

    def password(self, length: int = 12) -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class SeededEntropy:
    """Repeatable values for tests and simulations."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token(self, octets: int = 12) -> str:
        return self.octets(octets).hex()

    def octets(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def password(self, length: int = 12) -> str:
        return "".join(self._random.choice(_ALPHABET) for _ in range(length))
