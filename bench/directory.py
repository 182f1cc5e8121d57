"""Figures of the directory and the store: look-ups on the call path, durable writes alone and in groups."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.storage.sqlite import SqliteDatabases
from directory.directory import Directory
from directory.firststart import prepare
from directory.model import Address, Caller
from directory.secrets import Keyring

_AT_ONCE = 2000


def run() -> list[tuple[str, float, str]]:
    return asyncio.run(_run())


async def _run() -> list[tuple[str, float, str]]:
    return [*await _look_ups(), *await _writes()]


async def _look_ups() -> list[tuple[str, float, str]]:
    databases, entropy = InlineDatabases(), SeededEntropy()
    directory = await Directory.open(await databases.main(), Keyring(bytes(32), entropy))
    await prepare(directory, "bench.test", entropy)
    bob = directory.find_account("bench.test", "bob")
    assert bob is not None
    caller, address, identity = Caller("sip:alice@bench.test"), Address("202", "127.0.0.1"), bob.id
    figures = [
        ("directory: resolve an extension", _cpu(lambda: directory.resolve(address, caller=caller)), "µs CPU"),
        ("directory: call rules", _cpu(lambda: directory.call_rules(identity)), "µs CPU"),
        ("directory: HA1, cached", _cpu(lambda: directory.ha1(identity, "202", "bench.test", "MD5")), "µs CPU"),
    ]
    databases.discard()
    return figures


def _cpu(work: Callable[[], object], times: int = 20_000) -> float:
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times * 1e6


async def _writes() -> list[tuple[str, float, str]]:
    with tempfile.TemporaryDirectory() as folder:
        databases = SqliteDatabases(Path(folder), Metrics())
        database = await databases.main()
        await database.migrate("bench", ["CREATE TABLE item (body BLOB);"])

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO item VALUES (zeroblob(200))")

        alone = await _timed(lambda: database.write(put), 300)
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(database.write(put) for _ in range(_AT_ONCE)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        await databases.close()
    return [
        ("store: one durable write at a time", alone, "µs"),
        ("store: durable write, many at once", cpu / _AT_ONCE * 1e6, "µs CPU"),
        ("store: durable writes, many at once", _AT_ONCE / wall, "per second"),
    ]


async def _timed(work: Callable[[], Awaitable[None]], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        await work()
    return (time.perf_counter() - started) / times * 1e6
