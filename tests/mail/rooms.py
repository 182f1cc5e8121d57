"""What the mail tests share: a store in memory, a store on disk, a small directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.storage.sqlite import SqliteDatabases
from directory.model import (
    Account,
    AccountRoute,
    Address,
    Caller,
    ForeignRoute,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Resolution,
    UnknownRoute,
    Use,
)
from mail.delivery import Delivery
from mail.store import MailStore

DOMAIN = "tandem.example"
ALICE = Account(1, DOMAIN, "alice")
BOB = Account(2, DOMAIN, "bob")
SPACE_DUST = b"From: a@b\r\nSubject: dust\r\n\r\nHello\r\n"


class Village:
    """A directory of two accounts, an extension, a group and a number that is a program."""

    main_domain = DOMAIN
    accounts = (ALICE, BOB)
    passwords: ClassVar = {ALICE.id: "wonder", BOB.id: "builder"}

    def local_domain(self, host: str) -> str | None:
        return DOMAIN if host.lower() in (DOMAIN, "localhost") else None

    def find_account(self, name: str) -> Account | None:
        names = {"alice": ALICE, "201": ALICE, "bob": BOB, "202": BOB}
        return names.get(name.lower())

    def resolve(
        self, address: Address, *, caller: Caller | None, services: bool = True, use: Use = Use.SIGNAL
    ) -> Resolution:
        if address.domain != DOMAIN:
            return Resolution(ForeignRoute(address))
        if address.local == "all":
            return Resolution(GroupRoute("all", (Address("alice", DOMAIN), Address("bob", DOMAIN))))
        if address.local == "loop":
            return Resolution(GroupRoute("loop", (Address("loop", DOMAIN),)))
        if address.local == "void":
            return Resolution(NullRoute(address))
        if address.local == "600":
            return Resolution(ProgramRoute("echo", (), BOB))
        account = self.find_account(address.local)
        return Resolution(AccountRoute(account) if account else UnknownRoute(address))

    async def authenticate(self, user: str, password: str) -> Account | None:
        local, _, host = user.partition("@")
        account = self.find_account(local) if not host or self.local_domain(host) else None
        return account if account and self.passwords[account.id] == password else None


@asynccontextmanager
async def memory_store() -> AsyncIterator[MailStore]:
    databases = InlineDatabases()
    store = MailStore(databases, ManualClock(), Metrics())
    try:
        yield store
    finally:
        await store.close()
        databases.discard()


@asynccontextmanager
async def disk_store(folder: Path, *, limit_open: int = 200) -> AsyncIterator[MailStore]:
    metrics = Metrics()
    databases = SqliteDatabases(folder, metrics)
    store = MailStore(databases, ManualClock(), metrics, limit_open=limit_open)
    try:
        yield store
    finally:
        await store.close()
        await databases.close()


def delivery(store: MailStore) -> Delivery:
    return Delivery(store, Village(), ManualClock(), SeededEntropy(), Metrics())
