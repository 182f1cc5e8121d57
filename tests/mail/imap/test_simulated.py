"""The whole door in virtual time, in memory: time limits to the second, and clients that must never lose count.

No socket, no thread, no disk: each seed replays exactly.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from base.clock import ManualClock
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from mail.imap.connection import Connection
from mail.imap.server import ImapServer
from mail.store import MailStore
from tests.mail.rooms import ALICE, Village
from tests.simulation.virtual import simulate

A = ALICE.id
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


class Wire(Connection):
    """A connection without a socket: the client's end is `say` and `hear`."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = "127.0.0.1"
        self._out = bytearray()
        self._said = asyncio.Event()
        self.gone = False

    def write(self, octets: bytes) -> None:
        self._out += octets
        self._said.set()

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        raise ConnectionError("no TLS in memory")

    async def finish(self, patience: float) -> None:
        self.gone = True
        self._said.set()

    def say(self, line: str) -> None:
        self.data_received(line.encode() + b"\r\n")

    async def hear(self) -> str:
        """One line; empty at the end."""
        while b"\r\n" not in self._out:
            if self.gone:
                return ""
            self._said.clear()
            await self._said.wait()
        line, _, rest = bytes(self._out).partition(b"\r\n")
        self._out[:] = rest
        return line.decode()


@asynccontextmanager
async def rooms() -> AsyncIterator[tuple[ImapServer, MailStore]]:
    databases = InlineDatabases(latency=0.001)
    store = MailStore(databases, ManualClock(), Metrics())
    server = ImapServer(store, Village(), Metrics())
    try:
        yield server, store
    finally:
        await server.close()
        await store.close()
        databases.discard()


def now() -> float:
    return asyncio.get_running_loop().time()


async def connect(server: ImapServer) -> Wire:
    wire = Wire()
    server.accepted(wire)
    assert (await wire.hear()).startswith("* OK")
    return wire


def test_time_limits() -> None:
    async def play() -> None:
        async with rooms() as (server, _):
            silent = await connect(server)
            assert await silent.hear() == "* BYE Silent for too long"
            assert now() == pytest.approx(60, abs=0.1)
            trickle = await connect(server)
            for _ in range(5):
                await asyncio.sleep(11)
                trickle.say("a NOOP")
                assert await trickle.hear() == "a OK NOOP completed"
            await asyncio.sleep(6)
            assert (await trickle.hear()).startswith("* BYE"), "saying a little now and then does not help"
            wrong = await connect(server)
            start = now()
            wrong.say("a LOGIN alice nonsense")
            assert (await wrong.hear()).startswith("a NO")
            assert now() - start == pytest.approx(2, abs=0.1)
            wrong.say("b LOGIN alice wonder")
            assert (await wrong.hear()).startswith("b OK")
            start = now()
            wrong.say("c IDLE")
            assert await wrong.hear() == "+ idling"
            assert (await wrong.hear()).startswith("* BYE")
            assert now() - start == pytest.approx(1800, abs=0.1)

    simulate(play())


def test_an_account_that_is_removed_is_shown_out() -> None:
    async def play() -> None:
        async with rooms() as (server, store):
            one = await connect(server)
            one.say("a LOGIN alice wonder\r\nb SELECT INBOX\r\nc IDLE")
            while await one.hear() != "+ idling":
                pass
            await store.remove_account(A)
            assert await one.hear() == "* BYE The account was removed"

    simulate(play())


class Mirror:
    """A client that believes only what it is told, and checks that it can be true."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.uids: list[int | None] = []
        self.flags: dict[int, frozenset[str]] = {}
        self._count = 0

    async def ask(self, command: str, *, moves: bool = True) -> str:
        self._count += 1
        tag = f"t{self._count}"
        self.wire.say(f"{tag} {command}")
        while True:
            line = await self.wire.hear()
            assert line, "the server hung up"
            if line.startswith(tag + " "):
                return line[len(tag) + 1 :]
            self.take(line, moves)

    def take(self, line: str, moves: bool) -> None:
        if match := re.fullmatch(r"\* (\d+) EXISTS", line):
            count = int(match[1])
            assert count >= len(self.uids), "EXISTS never shrinks"
            self.uids += [None] * (count - len(self.uids))
        elif match := re.fullmatch(r"\* (\d+) EXPUNGE", line):
            assert moves, "decision 20: not during FETCH, STORE, SEARCH"
            del self.uids[int(match[1]) - 1]
        elif match := re.fullmatch(r"\* (\d+) FETCH \(UID (\d+)(?: FLAGS \(([^)]*)\))?.*\)", line):
            at, uid = int(match[1]) - 1, int(match[2])
            assert self.uids[at] in (None, uid), "a number means one message until EXPUNGE"
            self.uids[at] = uid
            if match[3] is not None:
                self.flags[uid] = frozenset(match[3].split()) - {"\\Recent"}
        elif line.startswith("* BYE"):
            raise AssertionError(line)


async def _act(chance: random.Random, mirror: Mirror, store: MailStore) -> None:
    count = max(1, len(mirror.uids))
    number = chance.randint(1, count)
    chosen = f"{number}:{chance.randint(1, count)}"
    flag = chance.choice(["\\Seen", "\\Deleted", "$Todo", "\\Flagged"])
    match chance.randrange(10):
        case 0 | 1:
            await store.append(A, "INBOX", MESSAGE, voice=chance.random() < 0.5)
        case 2:
            await mirror.ask("NOOP")
        case 3:
            await mirror.ask("EXPUNGE")
        case 4:
            await mirror.ask(f"UID MOVE {number} Archive")
        case 5:
            await mirror.ask(f"STORE {chosen} +FLAGS ({flag})", moves=False)
        case 6:
            await mirror.ask(f"STORE {chosen} -FLAGS.SILENT ({flag})", moves=False)
            await mirror.ask(f"FETCH {chosen} (UID FLAGS)", moves=False)
        case 7:
            await mirror.ask(f"FETCH {chosen} (UID FLAGS)", moves=False)
        case 8:
            await mirror.ask(f"SEARCH {flag.strip(chr(92)) if flag[0] != '$' else 'KEYWORD ' + flag}", moves=False)
        case _:
            await mirror.ask("COPY 1:* INBOX" if count < 12 else "COPY 1 INBOX")


@pytest.mark.parametrize("seed", range(30))
def test_clients_never_lose_count(seed: int) -> None:
    async def play() -> None:
        chance = random.Random(seed)
        async with rooms() as (server, store):
            mirrors = [Mirror(await connect(server)) for _ in range(3)]
            for mirror in mirrors:
                await mirror.ask("LOGIN alice wonder")
                await mirror.ask("SELECT INBOX")

            async def live(mirror: Mirror, chance: random.Random) -> None:
                for _ in range(40):
                    await _act(chance, mirror, store)
                    await asyncio.sleep(chance.random() * 0.003)

            await asyncio.gather(*(live(mirror, random.Random(chance.random())) for mirror in mirrors))
            truth = {}
            for message in await store.messages(A, "INBOX"):
                truth[message.uid] = frozenset(message.flags)
            for mirror in mirrors:
                await mirror.ask("NOOP")
                told = {uid: mirror.flags[uid] for uid in mirror.uids if uid is not None and uid in mirror.flags}
                assert len(mirror.uids) == len(truth)
                assert told.items() <= truth.items(), "what it believes of flags is true"
                await mirror.ask("FETCH 1:* (UID FLAGS)")
                assert mirror.uids == sorted(truth)
                assert {uid: mirror.flags[uid] for uid in truth} == truth

    simulate(play())
