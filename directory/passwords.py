"""Passwords and PINs of accounts: checked, and changed after a check. How they are sealed is `secrets.py`'s."""

from __future__ import annotations

from base.failures import Failure
from directory.model import Account
from directory.secrets import Algorithm, DerivedCache, derive_ha1, same
from directory.store import Store

_PASSWORD_LIMIT = 256  # Limit: characters of a password.


class Passwords:
    """Of all accounts, by id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._derived = DerivedCache()

    def ha1(self, account_id: int, username: str, realm: str, algorithm: Algorithm) -> str:
        """RFC 7616 §3.4.2, for any login name and realm. Raises Failure("not-found") without account or password.
        Of the account NOBODY it is worth nothing, and the work is the same."""
        key = (account_id, username, realm, algorithm)
        value = self._derived.get(key)
        if value is None:
            value = derive_ha1(username, realm, self._store.secret(account_id, "password"), algorithm)
            self._derived.put(key, value)
        return value

    def forget(self) -> None:
        """Names or passwords were changed: derive anew."""
        self._derived.forget()

    def secret(self, account_id: int, kind: str) -> str:
        """In clear: `password` or `pin`, for an export that was asked for them. Raises Failure("not-found")."""
        return self._store.secret(account_id, kind)

    def check(self, account_id: int, password: str) -> bool:
        """Compare in a time that tells nothing; of NOBODY, whatever comes out."""
        return same(self._store.secret(account_id, "password"), password)

    async def set(self, account: Account, password: str) -> None:
        """Raises Failure("invalid")."""
        check_password(password)
        await self._put(account, "password", password)

    def has_pin(self, account_id: int) -> bool:
        """Whether the mailbox asks for digits when it is heard by phone."""
        return (account_id, "pin") in self._store.image.secrets

    def check_pin(self, account_id: int, digits: str) -> bool:
        """False when there is no PIN."""
        return self.has_pin(account_id) and same(self._store.secret(account_id, "pin"), digits)

    async def set_pin(self, account: Account, digits: str | None) -> None:
        """1 to 16 digits; None removes it. Raises Failure("invalid")."""
        if digits is not None and not (digits.isascii() and digits.isdigit() and len(digits) <= 16):
            raise Failure("invalid", "a PIN is 1 to 16 digits")
        await self._put(account, "pin", digits)

    async def _put(self, account: Account, kind: str, text: str | None) -> None:
        await self._store.put_secret(account.id, kind, text)
        self.forget()


def check_password(password: str) -> None:
    """Raises Failure("invalid") for what nobody may have as a password."""
    if not password or len(password) > _PASSWORD_LIMIT or not password.isprintable():
        raise Failure("invalid", f"a password is 1 to {_PASSWORD_LIMIT} printable characters")
