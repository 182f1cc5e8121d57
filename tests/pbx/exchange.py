"""A SIP exchange in memory and phones that talk to it byte by byte, all in virtual time.

    def test_…() -> None:
        simulate(play(scene))

A scene is `async def scene(house: Exchange)`; calls are not answered here but noted (`Switchboard`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from base.clock import LoopClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from directory.directory import Directory
from directory.model import Caller, Resolution
from pbx.messages.server import Messenger
from pbx.policy.policy import Policy, Rooms
from pbx.policy.settings import PolicySettings
from pbx.presence.room import Events
from pbx.proxy.proxy import Proxy
from pbx.registrar.bindings import Bindings
from pbx.registrar.gruu import Gruus
from pbx.registrar.server import Registrar
from pbx.sipcore import digest
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Datagrams, Endpoint, Network
from pbx.transport.sockets import SystemNetwork
from pbx.transport.stack import SipStack, StackSettings
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds
from pbx.workarounds.stock import STOCK
from tests.directory.fixtures import DOMAIN, demo_directory
from tests.simulation.virtual import Life

SERVER: Endpoint = ("10.0.0.1", 5060)


class VirtualClock(LoopClock):
    """The loop's time, also as time of day."""

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now()


class Switchboard:
    """Calls that only take note: each INVITE gets `status`."""

    def __init__(self) -> None:
        self.invites: list[tuple[ServerTransaction, Caller, Resolution]] = []
        self.acks: list[Request] = []
        self.status = 486

    def invite(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        self.invites.append((transaction, caller, resolution))
        transaction.reply(self.status)

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        return False

    def ack(self, request: Request, flow: Flow) -> bool:
        self.acks.append(request)
        return False

    def stray_response(self, response: Response, flow: Flow) -> None:
        pass


class Exchange:
    """Everything between the sockets and the calls."""

    def __init__(
        self, directory: Directory, databases: InlineDatabases, settings: PolicySettings, public_host: str
    ) -> None:
        self.clock: LoopClock = VirtualClock(asyncio.get_running_loop())
        self.network = MemoryNetwork(self.clock)
        self.sockets: Network = self.network
        self.address = SERVER
        self.entropy, self.metrics = SeededEntropy(7), Metrics()
        self.directory, self.databases = directory, databases
        self.calls = Switchboard()
        self.voice: dict[int, tuple[int, int]] = {}
        self.settings, self.public_host = settings, public_host
        self._peers = 0
        self._life = Life()
        self._killed: list[Life] = []

    async def start(self) -> None:
        """A new process, on what the last one left in the database."""
        self._life = Life()
        await self._life.start(self._open())

    async def crash(self) -> None:
        """`kill -9`, and a new start."""
        self._life.kill()
        self._killed.append(self._life)
        self.network.unplug(self.address[0])
        self.databases.crash()
        await self.start()

    async def _open(self) -> None:
        clock, entropy, metrics = self.clock, self.entropy, self.metrics
        self.stack = SipStack(
            self.sockets,
            clock,
            entropy,
            metrics,
            StackSettings((self.address,), (self.address,), self.public_host),
        )
        self.bindings = Bindings(clock)
        self.contacts_allowed = 10
        self.workarounds = done = Workarounds(STOCK)
        gruus = Gruus(b"k" * 32, entropy, self.directory, self.bindings)
        self.registrar = Registrar(
            clock,
            entropy,
            metrics,
            await self.databases.main(),
            self.bindings,
            contacts=lambda _account: self.contacts_allowed,
            workarounds=done,
            gruus=gruus,
            service_route=self.stack.contact_for,
        )
        self.proxy = Proxy(self.stack, metrics, self.bindings, b"k" * 32, done)
        self.proxy.gruus = gruus
        self.events = Events(
            clock, entropy, metrics, self.stack, self.directory, self.bindings, self._counts,
            await self.databases.main(), workarounds=done, gruus=gruus,
        )  # fmt: skip
        self.lamps = self.events.lamps
        self.messenger = Messenger(
            clock, metrics, self.stack, self.directory, self.bindings, await self.databases.main()
        )
        await self.messenger.start()
        rooms = Rooms(self.calls, self.events, self.registrar, self.proxy, self.messenger)
        self.policy = Policy(clock, entropy, metrics, self.directory, self.stack, rooms, self.settings, done)
        self.stack.attach(self.policy)
        self.stack.shut_out = self.policy.blocks.shut_out
        self.stack.answer_source(
            lambda request, flow: Workaround.SOURCE_PORT in done.for_(request.get("User-Agent") or "", flow.remote[0])
        )
        self.stack.on_flow_ended(self.registrar.flow_ended)
        self.directory.domain_book.add_host(self.address[0])
        await self.registrar.start()
        await self.events.start()
        await self.stack.start()
        self.events.wake()

    async def close(self) -> None:
        self.policy.close()
        await self.events.close()
        await self.messenger.close()
        await self.proxy.close()
        await self.stack.close()
        await self.registrar.close()
        for life in self._killed:
            life.bury()

    async def _counts(self, account_id: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return self.voice.get(account_id, (0, 0))

    def account_id(self, name: str) -> int:
        account = self.directory.find_account(DOMAIN, name)
        assert account is not None
        return account.id

    def phone(self, user: str = "alice", host: str = "", port: int = 5060, password: str | None = None) -> Phone:
        self._peers += 1
        secret = f"{user}-secret" if password is None else password
        return Phone(self, user, secret, (host or f"10.0.0.{100 + self._peers}", port))


class Phone:
    """A user agent that writes its own messages."""

    def __init__(self, house: Exchange, user: str, password: str, local: Endpoint) -> None:
        self.house, self.user, self.password, self.local = house, user, password, local
        self.socket: Datagrams = house.network.open(local, self._receive)
        self.responses: asyncio.Queue[Response] = asyncio.Queue()
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self.answers: int | None = 200
        self.said = local
        self.call_id = house.entropy.token(6)
        self.cseq = 0

    def _receive(self, data: bytes, source: Endpoint) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self.responses.put_nowait(message)
            return
        self.requests.put_nowait(message)
        if self.answers is not None and message.method != "ACK":
            self.respond(message, self.answers)

    def respond(self, request: Request, status: int, *headers: tuple[str, str]) -> None:
        self.raw(response_to(request, status, to_tag=f"tag-{self.user}", headers=headers).encode())

    def raw(self, data: bytes, to: Endpoint = SERVER) -> None:
        self.socket.send(data, to)

    def request(self, method: str, uri: str, *headers: tuple[str, str], to: str = "", from_: str = "") -> Request:
        """A complete request, less credentials."""
        self.cseq += 1
        request = Request(method, uri)
        host, port = self.said
        request.add("Via", self._via())
        request.add("Max-Forwards", "70")
        request.add("From", f"{from_ or f'<sip:{self.user}@{DOMAIN}>'};tag={self.house.entropy.token(4)}")
        request.add("To", to or f"<{uri}>")
        request.add("Call-ID", self.call_id)
        request.add("CSeq", f"{self.cseq} {method}")
        if method in ("INVITE", "SUBSCRIBE", "REGISTER"):
            request.add("Contact", f"<sip:{self.user}@{host}:{port}>")
        for name, value in headers:
            request.set(name, value)
        return request

    def _via(self) -> str:
        host, port = self.said
        return f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self.house.entropy.token(6)};rport"

    async def ask(self, request: Request, seconds: float = 40.0) -> Response:
        """Send; give the first final answer, ACKing a refused INVITE."""
        self.raw(request.encode())
        async with asyncio.timeout(seconds):
            while True:
                response = await self.responses.get()
                if response.is_final and response.cseq == request.cseq and response.call_id == request.call_id:
                    break
        if request.method == "INVITE":
            ack = Request("ACK", request.uri)
            ack.copy_from(request, "Via", "From")
            ack.copy_from(response, "To")
            ack.copy_from(request, "Call-ID", "Max-Forwards")
            ack.add("CSeq", f"{request.cseq.number} ACK")
            self.raw(ack.encode())
        return response

    async def prove(self, request: Request, username: str = "") -> Response:
        """Send, answer the challenge, give the second answer."""
        response = await self.ask(request)
        if response.status not in (401, 407):
            return response
        return await self.ask(self.credentials(request, response, username))

    def credentials(self, request: Request, response: Response, username: str = "") -> Request:
        proxy = response.status == 407
        asked = digest.parse_challenge(response.get("Proxy-Authenticate" if proxy else "WWW-Authenticate") or "")
        again = request.copy()
        self.cseq += 1
        again.set("CSeq", f"{self.cseq} {request.method}")
        again.replace_first("Via", self._via())
        value = digest.respond(
            asked,
            username=username or self.user,
            password=self.password,
            method=request.method,
            uri=request.uri,
            cnonce="c",
        )
        again.set("Proxy-Authorization" if proxy else "Authorization", value)
        return again

    async def register(self, *headers: tuple[str, str], username: str = "", user: str = "") -> Response:
        aor = f"<sip:{user or self.user}@{DOMAIN}>"
        return await self.prove(self.request("REGISTER", f"sip:{DOMAIN}", *headers, to=aor, from_=aor), username)

    async def next_request(self, seconds: float = 40.0) -> Request:
        async with asyncio.timeout(seconds):
            return await self.requests.get()


Scene = Callable[[Exchange], Awaitable[None]]


async def play(
    scene: Scene, settings: PolicySettings | None = None, public_host: str = "", real: Endpoint | None = None
) -> None:
    """Build the exchange, run the scene, take it down. With `real` it is on the system's sockets and in real time."""
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(demo_directory())
        databases = InlineDatabases()
        stack.callback(databases.discard)
        house = Exchange(directory, databases, settings or PolicySettings(), public_host)
        if real is not None:
            house.clock, house.sockets, house.address = LoopClock(asyncio.get_running_loop()), SystemNetwork(), real
        await house.start()
        stack.push_async_callback(house.close)
        await scene(house)
