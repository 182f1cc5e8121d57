"""Telephone numbers of accounts, as the world dials them: each is one account's on the whole server (CommuniGate's
Telnums). Extensions are aliases, and belong to a domain.

ITU-T E.164 §6: a plus, and at most 15 digits with the country code first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from base.failures import Failure
from directory.image import Image
from directory.model import Account
from directory.numbers import written
from directory.store import Store

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_WRITTEN = re.compile(r"[\s().\-/]")
_DIALLED = re.compile(r"\+?[0-9\s().\-/]{5,40}")
_MOST = 100  # Limit: numbers of one account.


class Telnums:
    """Of all accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._image = store.image

    def of(self, account_id: int) -> tuple[str, ...]:
        """In the order in which they were given: the first is shown where one is."""
        return self._image.telnums_of.get(account_id, ())

    def all(self) -> tuple[str, ...]:
        """Those that some account has."""
        return tuple(self._image.telnums)

    def owner(self, dialled: str, country: str = "") -> Account | None:
        """Whose number that is: with its plus, or as it is dialled in `country` (empty: nowhere)."""
        return number_owner(self._image, dialled, country)

    async def set(self, account: Account, numbers: Iterable[str]) -> None:
        """All numbers of an account at once. Raises Failure("invalid" | "exists")."""
        found = tuple(dict.fromkeys(checked_telnum(number) for number in numbers))
        if len(found) > _MOST:
            raise Failure("invalid", f"an account has at most {_MOST} telephone numbers")
        for number in found:
            if self._image.telnums.get(number, account.id) != account.id:
                raise Failure("exists", f"somebody else has {number}")
        await self._store.put_telnums(account, found)


def number_owner(image: Image, dialled: str, country: str = "") -> Account | None:
    """The same for who has the image."""
    if not image.telnums or not _DIALLED.fullmatch(dialled):
        return None
    plain = _WRITTEN.sub("", dialled)
    number = plain if plain.startswith("+") or not country else written(plain, "plus", country)
    found = image.objects.get(image.telnums.get(number, 0))
    return found if isinstance(found, Account) else None


def checked_telnum(text: str) -> str:
    """`+49 (30) 1234-56` as it is kept, `+4930123456`. Raises Failure("invalid")."""
    number = _WRITTEN.sub("", text)
    if not _E164.fullmatch(number):
        raise Failure(
            "invalid", f"{text!r}: a telephone number begins with + and the country code, such as +4930123456"
        )
    return number
