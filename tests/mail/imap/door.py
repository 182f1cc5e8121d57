"""A running IMAP server for tests, a client that speaks line by line, and programs run beside the loop."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from base.certificates import Certificates
from base.metrics import Metrics
from mail.imap.server import Endpoint, ImapServer, Limits
from mail.store import MailStore
from tests.mail.rooms import Village, disk_store

T = TypeVar("T")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


@dataclass(slots=True)
class Door:
    server: ImapServer
    store: MailStore
    metrics: Metrics
    port: int
    tls_port: int


@asynccontextmanager
async def open_door(folder: Path, *, limits: Limits | None = None, tls: bool = True) -> AsyncIterator[Door]:
    metrics = Metrics()
    context = Certificates(folder / "tls", ["localhost", "127.0.0.1"], lambda: 1.8e9).context if tls else None
    async with disk_store(folder) as store:
        server = ImapServer(store, Village(), metrics, tls=context, spool=folder, limits=limits)
        endpoints = [Endpoint("127.0.0.1", 0)] + ([Endpoint("127.0.0.1", 0, tls=True)] if tls else [])
        bound = await server.start(endpoints)
        try:
            yield Door(server, store, metrics, bound[0][1], bound[-1][1])
        finally:
            await server.close()


class Client:
    """Says a line, hears answers; literals are part of the answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._count = 0

    async def hear(self) -> bytes:
        """One answer with its literals, without the last line end."""
        whole = b""
        async with asyncio.timeout(10):
            while True:
                line = await self.reader.readline()
                if not line:
                    raise ConnectionError("the server hung up")
                whole += line
                literal = _LITERAL.search(line)
                if not literal:
                    return whole.removesuffix(b"\r\n")
                whole += await self.reader.readexactly(int(literal[1]))

    def say(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def ask(self, command: str | bytes) -> list[bytes]:
        """All answers to a command, the tagged one last without its tag."""
        self._count += 1
        tag = b"t%d" % self._count
        octets = command if isinstance(command, bytes) else command.encode()
        self.say(tag + b" " + octets + b"\r\n")
        return await self.until(tag)

    async def until(self, tag: bytes) -> list[bytes]:
        answers: list[bytes] = []
        while True:
            answer = await self.hear()
            if answer.startswith(tag + b" "):
                return [*answers, answer[len(tag) + 1 :]]
            answers.append(answer)

    async def ok(self, command: str | bytes) -> list[bytes]:
        """The untagged answers of a command that must succeed."""
        answers = await self.ask(command)
        assert answers[-1].startswith(b"OK"), answers
        return answers[:-1]

    async def append(self, mailbox: str, message: bytes, flags: str = "") -> bytes:
        """The tagged answer."""
        return (await self.ask(f"APPEND {mailbox} {flags}{{{len(message)}+}}\r\n".encode() + message))[-1]


@asynccontextmanager
async def client(port: int, *, login: str = "alice wonder", tls: bool = False) -> AsyncIterator[Client]:
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=64 * 1024 * 1024)
    try:
        found = Client(reader, writer)
        assert (await found.hear()).startswith(b"* OK [CAPABILITY IMAP4rev1")
        if login:
            await found.ok(f"LOGIN {login}")
        yield found
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def aside(work: Callable[[], T]) -> T:
    """Blocking clients run in a thread, for the server runs on the loop."""
    async with asyncio.timeout(30):
        return await asyncio.to_thread(work)


async def program(*words: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Run a real program; its status and all it says."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
    )
    try:
        async with asyncio.timeout(30):
            output, _ = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output
