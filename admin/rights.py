"""Who may do what through any door (spec: cgp-server §2, admin rights).

An act is for the administrators of the server; some are for those of a domain too, in their own domain, and a few for
everybody, for their own account. How far that goes is a `Reach`; the desk that an act works with shows no more.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from base.failures import Failure
from directory.model import DOMAIN_RIGHTS, Account, Right


class Reach(enum.Enum):
    """How far somebody's hand goes in one act."""

    SERVER = "everywhere"
    DOMAIN = "in his own domain"
    ACCOUNT = "at his own account"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever stands at a door. `name` is for the log; `account` is None for who is on this machine."""

    name: str
    rights: frozenset[Right]
    account: Account | None = None

    @classmethod
    def of(cls, account: Account, rights: frozenset[Right]) -> Actor:
        return cls(account.address, rights, account)

    def may(self, right: Right) -> bool:
        """Of the server's rights `Master` stands for all; in a domain, each stands for itself."""
        return Right.MASTER in self.rights or right in self.rights

    def reach(self, what: str, right: Right, domain: Right | None, own: bool) -> Reach:
        """How far, for an act that needs `right` on the server, or `domain` in a domain (None: it is the server's), or
        that everybody may do for himself. Raises Failure("denied")."""
        if self.may(right):
            return Reach.SERVER
        if self.account is not None and domain is not None and domain in self.rights:
            return Reach.DOMAIN
        if self.account is not None and own:
            return Reach.ACCOUNT
        wanted = right.value if domain is None else f"{right.value}, or {domain.value} in a domain"
        raise Failure("denied", f"{what} needs the right {wanted}; {self.name} has {self._told()}")

    def outranks(self, rights: frozenset[Right]) -> bool:
        """Whether he has all of these rights himself: who sets a password has what it opens."""
        if Right.MASTER in self.rights:
            return True
        own = self.rights | DOMAIN_RIGHTS if Right.USERS in self.rights else self.rights
        return rights <= own

    def _told(self) -> str:
        return ", ".join(right.value for right in Right if right in self.rights) or "none"


# Whoever can open the control socket (mode 0600) could read the database as well.
LOCAL = Actor("local", frozenset({Right.MASTER}))
