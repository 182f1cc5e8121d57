"""What accounts may administer. Kept here, checked by whoever performs acts (`admin.rights`) or runs programs.

Not settings: what is set at a domain or by a program must give nobody a right (spec: cgp-server §2).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from base.failures import Failure
from directory.model import DOMAIN_RIGHTS, SERVER_RIGHTS, Account, Right
from directory.store import Store


class Rights:
    """Of all accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._image = store.image

    def of(self, account_id: int) -> frozenset[Right]:
        """Empty for most."""
        return self._image.rights.get(account_id, frozenset())

    async def set(self, account: Account, rights: frozenset[Right]) -> None:
        """All rights of an account at once; a right in a domain brings `Domain`. Raises Failure("denied") for a right
        on the server at an account that is not of the main domain."""
        if rights & SERVER_RIGHTS and account.domain != self._image.main_domain:
            words = ", ".join(sorted(right.value for right in rights & SERVER_RIGHTS))
            raise Failure(
                "denied", f"{words}: rights on the server are for accounts of the main domain {self._image.main_domain}"
            )
        await self._store.put_rights(account, rights | {Right.DOMAIN} if rights & DOMAIN_RIGHTS else rights)


def parse_rights(words: Iterable[str]) -> frozenset[Right]:
    """From words in any case. Raises Failure("invalid") with a suggestion."""
    by_lower = {right.value.lower(): right for right in Right}
    found = set()
    for word in words:
        right = by_lower.get(word.strip().lower())
        if right is None:
            close = difflib.get_close_matches(word.lower(), by_lower, n=1)
            hint = f"did you mean {by_lower[close[0]].value}?" if close else f"there are {', '.join(_all())}"
            raise Failure("invalid", f"there is no right {word}; {hint}")
        found.add(right)
    return frozenset(found)


def words(rights: Iterable[Right]) -> list[str]:
    """In the order of the table."""
    chosen = frozenset(rights)
    return [right.value for right in Right if right in chosen] if chosen else []


def _all() -> list[str]:
    return words(Right)
