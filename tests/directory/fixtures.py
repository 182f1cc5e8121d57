"""A directory in memory with the demo accounts, for any test that needs people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from base.entropy import SeededEntropy
from base.storage.inline import InlineDatabases
from directory.directory import Directory
from directory.firststart import prepare
from directory.model import Account
from directory.secrets import Keyring

DOMAIN = "tandem.test"


@asynccontextmanager
async def demo_directory(domain: str = DOMAIN, seed: int = 1) -> AsyncIterator[Directory]:
    """alice 201 (password `alice-secret`, PIN 2011), bob 202 (`bob-secret`, 2022), pbx 200, postmaster."""
    databases, entropy = InlineDatabases(), SeededEntropy(seed)
    try:
        directory = await Directory.open(
            await databases.main(), Keyring(bytes(32), entropy), hosts=("127.0.0.1", "host.example")
        )
        await prepare(directory, domain, entropy)
        for name, pin in (("alice", "2011"), ("bob", "2022")):
            account = directory.find_account(domain, name)
            assert account is not None
            await directory.set_password(account.id, f"{name}-secret")
            await directory.set_pin(account.id, pin)
        yield directory
    finally:
        databases.discard()


def find(directory: Directory, name: str, domain: str = DOMAIN) -> Account:
    """Who must be there."""
    account = directory.find_account(domain, name)
    assert account is not None
    return account
