"""Whose settings or rules an act is about: those of an account, of a domain, or of the server."""

from __future__ import annotations

from dataclasses import dataclass

from admin.acts import Arguments, Parameter
from admin.desk import Desk
from directory.model import Account, Right

OWNER = (Parameter("account", required=False), Parameter("domain", required=False))


@dataclass(frozen=True, slots=True)
class Owner:
    """Without an account it is the domain, and without a domain the server."""

    account: Account | None = None
    domain: str | None = None

    @property
    def account_id(self) -> int | None:
        return None if self.account is None else self.account.id


def owner(desk: Desk, arguments: Arguments) -> Owner:
    """To look at. Raises Failure("denied" | "not-found")."""
    account, domain = arguments.text("account"), arguments.text("domain")
    if account:
        return Owner(desk.account(account, domain))
    if domain:
        return Owner(domain=desk.domain(domain))
    desk.whole_server()
    return Owner()


def owner_to_change(desk: Desk, arguments: Arguments) -> Owner:
    """Raises Failure("denied" | "not-found")."""
    account, domain = arguments.text("account"), arguments.text("domain")
    if account:
        desk.needs(Right.USER_ACCOUNTS)
        return Owner(desk.account_to_change(account, domain))
    if domain:
        desk.needs(Right.BASIC_SETTINGS)
        return Owner(domain=desk.domain(domain))
    desk.whole_server(Right.SETTINGS)
    return Owner()
