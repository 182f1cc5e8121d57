"""What an IMAP session needs from outside: who a user is, where its answers go, how to wait and to encrypt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from directory.model import Account
from mail.store.model import Octets


class Authenticator(Protocol):
    """Decides who may log in."""

    async def authenticate(self, user: str, password: str) -> Account | None:
        """The account of `alice`, `alice@domain`, an alias or extension, when the password is right."""


class Channel(Protocol):
    """The way back to the client."""

    @property
    def secure(self) -> bool:
        """Nobody between can read: TLS, or loopback."""

    @property
    def encrypted(self) -> bool:
        """TLS runs."""

    def write(self, octets: bytes) -> None:
        """Queue octets."""

    async def drain(self) -> None:
        """Wait until few enough are queued. Raises ConnectionError when the client is gone or too slow."""

    async def pause(self, seconds: float) -> None:
        """Let time pass (after a wrong password)."""

    def wake(self) -> None:
        """Something happened in the store; `Session.refresh` should be called soon."""


class Upload(Octets, Protocol):
    """A message on its way in."""

    async def write(self, octets: bytes) -> None:
        """Add octets."""

    def close(self) -> None:
        """Give the room back; harmless twice."""


class Uploads(Protocol):
    """Room for messages on their way in."""

    def open(self, size: int) -> Upload:
        """Raises Failure("busy") when too much is on its way already, "full" when `size` is too large."""


def lines(answers: Iterable[bytes]) -> bytes:
    """Several answers, each with its line end."""
    return b"".join(answer + b"\r\n" for answer in answers)
