"""Who comes in by a door: an account with its rights, proved by its password or vouched for by the machine."""

from __future__ import annotations

from admin.rights import LOCAL, Actor
from admin.wire import Who
from base.failures import Failure
from directory.directory import Directory
from directory.secrets import NOBODY


class Entrance:
    """Of one server, for all doors."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def local(self, who: Who) -> Actor:
        """For a door that only the machine's administrators can open: the account is believed without a password.

        Raises Failure("not-found" | "denied").
        """
        if not who.account:
            return LOCAL
        if who.password is not None:
            return self.proved(who.account, who.password)
        local, _, host = who.account.partition("@")
        account = self._directory.login(local, host or self._directory.main_domain)
        if account is None:
            raise Failure("not-found", f"there is no account {who.account}")
        return Actor.of(account, self._directory.rights.of(account.id))

    def proved(self, name: str, password: str) -> Actor:
        """`alice` or `alice@domain`; an unknown name is as much work as a wrong password, and answered like one.

        Raises Failure("denied").
        """
        local, _, host = name.partition("@")
        account = self._directory.login(local, host or self._directory.main_domain)
        right = self._directory.check_password(NOBODY if account is None else account.id, password)
        if account is None or not right:
            raise Failure("denied", "that name and password do not belong together")
        if not self._directory.allows(account.id, "PWD"):
            raise Failure("denied", f"administration with its password is switched off for {account.address}")
        return Actor.of(account, self._directory.rights.of(account.id))
