"""A server with three domains that have the same extensions, names and groups, for tests of what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from base.entropy import SeededEntropy
from base.storage.inline import InlineDatabases
from directory.directory import Directory
from directory.model import Account, Caller
from directory.secrets import Keyring

OURS, THEIRS, MAIN = "a.example", "b.example", "main.example"


@dataclass(frozen=True)
class Town:
    """Only the main domain has a PBX centre."""

    databases: InlineDatabases
    directory: Directory

    def account(self, name: str, domain: str = OURS) -> Account:
        found = self.directory.find_account(domain, name)
        assert found is not None
        return found

    def caller(self, domain: str = OURS) -> Caller:
        anna = self.account("anna", domain)
        return Caller(f"sip:{anna.address}", account=anna)


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    databases = InlineDatabases()
    try:
        directory = await opened(databases)
        for domain in (MAIN, OURS, THEIRS):
            await directory.domain_book.create(domain)
            one = await directory.create_account(domain, "anna", "x", extension="201")
            await directory.create_account(domain, "otto", "x", extension="202")
            await directory.create_group(domain, "team", ["anna", "202"])
            await directory.create_forwarder(domain, "desk", "otto")
            await directory.set_setting(one.id, "Operator", "otto")
        await directory.create_account(MAIN, "pbx", "x", extension="200")
        await directory.create_group(OURS, "both", ["anna", f"anna@{THEIRS}"])
        yield Town(databases, directory)
    finally:
        databases.discard()


async def opened(databases: InlineDatabases) -> Directory:
    return await Directory.open(await databases.main(), Keyring(bytes(32), SeededEntropy(1)))
