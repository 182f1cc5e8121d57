"""What mail costs: CPU per durable delivery, and how long until an idling client knows. Only figures."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from base.clock import LoopClock
from base.entropy import SystemEntropy
from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases
from directory.model import Account, AccountRoute, Address, Caller, Resolution
from mail.delivery import Delivery
from mail.imap.server import Endpoint, ImapServer
from mail.store import MailStore

_ACCOUNT = Account(1, "bench.example", "bench")
_MESSAGE = b"Subject: bench\r\nFrom: a@b\r\n\r\n" + b"0123456789abcde\r\n" * 240
_GROUP = 20


class _Names:
    main_domain = "bench.example"

    def local_domain(self, host: str) -> str | None:
        return self.main_domain

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution:
        return Resolution(AccountRoute(_ACCOUNT))

    async def authenticate(self, user: str, password: str) -> Account | None:
        return _ACCOUNT


@asynccontextmanager
async def _store() -> AsyncIterator[tuple[MailStore, Delivery]]:
    with tempfile.TemporaryDirectory() as folder:
        metrics = Metrics()
        clock = LoopClock(asyncio.get_running_loop())
        databases = SqliteDatabases(Path(folder), metrics)
        store = MailStore(databases, clock, metrics)
        try:
            yield store, Delivery(store, _Names(), clock, SystemEntropy(), metrics)
        finally:
            await store.close()
            await databases.close()


async def _deliveries(count: int, together: int) -> tuple[float, float]:
    """CPU µs and wall µs per delivery of 4 KB."""
    async with _store() as (_, delivery):
        await delivery.submit("", ["bench"], _MESSAGE)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count // together):
            await asyncio.gather(*(delivery.submit("", ["bench"], _MESSAGE) for _ in range(together)))
        return (time.process_time() - cpu) / count * 1e6, (time.perf_counter() - wall) / count * 1e6


async def _latency(count: int) -> list[float]:
    """Milliseconds from the start of a delivery until an idling client has read EXISTS."""
    async with _store() as (store, delivery):
        server = ImapServer(store, _Names(), Metrics())
        ((_, port),) = await server.start([Endpoint("127.0.0.1", 0)])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"a LOGIN x y\r\nb SELECT INBOX\r\nc IDLE\r\n")
        await reader.readuntil(b"+ idling\r\n")
        found: list[float] = []
        for _ in range(count):
            start = time.perf_counter()
            await asyncio.gather(delivery.submit("", ["bench"], _MESSAGE), reader.readuntil(b"EXISTS\r\n"))
            found.append((time.perf_counter() - start) * 1000)
        writer.close()
        await writer.wait_closed()
        await server.close()
        return sorted(found)


def run() -> list[tuple[str, float, str]]:
    """(what, figure, unit)."""
    cpu, wall = asyncio.run(_deliveries(1000, 1))
    grouped_cpu, grouped_wall = asyncio.run(_deliveries(4000, _GROUP))
    latency = asyncio.run(_latency(200))
    return [
        ("durable delivery 4 KB, one at a time: CPU", cpu, "µs"),
        ("durable delivery 4 KB, one at a time: wall", wall, "µs"),
        (f"durable delivery 4 KB, {_GROUP} at a time: CPU", grouped_cpu, "µs"),
        (f"durable delivery 4 KB, {_GROUP} at a time: wall", grouped_wall, "µs"),
        ("delivery until IDLE tells it: median", latency[len(latency) // 2], "ms"),
        ("delivery until IDLE tells it: 99th percentile", latency[len(latency) * 99 // 100], "ms"),
    ]
