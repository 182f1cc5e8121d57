"""A small server to be configured: directory, trunks and workarounds over one database, and files in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from admin.configuration.configuration import Configuration
from admin.configuration.rooms import Rooms
from admin.ports import FilePlace
from apps.environment_store import check_program
from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from base.storage.inline import InlineDatabase, InlineDatabases
from directory.directory import Directory
from directory.firststart import prepare
from directory.secrets import Keyring
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.transaction_ports import ClientUser
from pbx.sipcore.uri import Uri
from pbx.trunk.trunks import Trunks
from pbx.workarounds.server import WorkaroundStore

DOMAIN = "tandem.test"


class NoStack:
    """Trunks that are never woken send nothing."""

    async def flow_to(self, uri: Uri) -> Flow:
        raise AssertionError("a rehearsal sends nothing")

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object:
        raise AssertionError("a rehearsal sends nothing")

    def contact_for(self, flow: Flow, user: str = "") -> Uri:
        raise AssertionError("a rehearsal sends nothing")


@dataclass
class MemoryFiles:
    """Sounds begin with RIFF."""

    files: dict[FilePlace, bytes] = field(default_factory=dict)
    full: bool = False

    async def own(self) -> Mapping[FilePlace, bytes]:
        return dict(self.files)

    async def checked(self, place: FilePlace, content: bytes) -> bytes:
        if place.name.endswith((".sppr", ".sppi")):
            check_program(place.name, content)
        elif not content.startswith(b"RIFF"):
            raise Failure("invalid", "that is no sound file")
        return content

    async def keep(self, place: FilePlace, content: bytes) -> None:
        if self.full:
            raise Failure("full", "the file could not be stored")
        self.files[place] = content

    async def drop(self, place: FilePlace) -> None:
        del self.files[place]


@dataclass
class Mail:
    removed: list[int] = field(default_factory=list)

    async def remove_mail(self, account_id: int) -> None:
        self.removed.append(account_id)


@dataclass
class Server:
    configuration: Configuration
    rooms: Rooms
    database: InlineDatabase
    files: MemoryFiles
    mail: Mail

    @property
    def directory(self) -> Directory:
        return self.rooms.directory

    async def stored(self) -> bytes:
        """All that is in the database."""
        return await self.database.read(lambda connection: "\n".join(connection.iterdump()).encode())


@asynccontextmanager
async def server(domain: str = DOMAIN) -> AsyncIterator[Server]:
    """With the demo accounts alice 201, bob 202, pbx 200, postmaster."""
    databases, entropy, clock = InlineDatabases(), SeededEntropy(3), ManualClock()
    try:
        database = await databases.main()
        keyring = Keyring(bytes(32), entropy)
        directory = await Directory.open(database, keyring, hosts=("127.0.0.1",))
        await prepare(directory, domain, entropy)
        trunks = Trunks(clock, entropy, Metrics(), NoStack(), database, keyring)
        await trunks.start()
        workarounds = WorkaroundStore(database)
        await workarounds.start()
        rooms, files, mail = Rooms(directory, trunks, workarounds), MemoryFiles(), Mail()
        configuration = Configuration(rooms, database, files, mail, clock, lambda: entropy.password(16))
        yield Server(configuration, rooms, database, files, mail)
    finally:
        databases.discard()
