"""A switchboard over an in-memory network with hand-played phones and a stand-in for the media engine."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from base.clock import LoopClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from directory.model import (
    MONITOR,
    PARK,
    PICKUP,
    Account,
    AccountRoute,
    Address,
    Caller,
    CallRule,
    ForeignRoute,
    ProgramRoute,
    Resolution,
    Route,
    UnknownRoute,
)
from directory.network import Network as NetworkSettings
from directory.rules.occasion import Occasion
from pbx.b2bua.exchange import CallSettings, Exchange
from pbx.b2bua.switchboard import Switchboard
from pbx.mediaproxy.engine import Clip, MediaListener, StreamSettings, StreamStatistics
from pbx.proxy.proxy import Proxy
from pbx.records.log import LogEntry
from pbx.records.record import CallRecord
from pbx.registrar.bindings import Binding, Bindings
from pbx.signal.port import Limits
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Message, Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.session_ports import SessionTimers
from pbx.sipcore.transactions import ServerTransaction, Timers
from pbx.sipcore.uri import Uri
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Network
from pbx.transport.stack import SipStack, StackSettings

DOMAIN = "tandem.test"
SERVER = ("10.0.0.1", 5060)
ALICE = Account(1, DOMAIN, "alice", "Alice")
BOB = Account(2, DOMAIN, "bob", "Bob")
CAROL = Account(3, DOMAIN, "carol", "Carol")
PEOPLE = {account.name: account for account in (ALICE, BOB, CAROL)}
T1 = 0.04


class Stream:
    """A stand-in for one RTP endpoint: it writes down what it is told."""

    def __init__(self, number: int, listener: MediaListener) -> None:
        self.id = number
        self.local = (SERVER[0], 61_000 + 2 * number)
        self.listener = listener
        self.settings: StreamSettings | None = None
        self.other: Stream | None = None
        self.echoing = False
        self.closed = False
        self.heard = 0
        self.played: list[str] = []
        self.playing = ""
        self.mixed: list[Stream] = []

    fingerprint = "sha-256 " + ":".join(["AB"] * 32)

    def configure(self, settings: StreamSettings) -> None:
        self.settings = settings

    def connect(self, other: Stream) -> None:
        self.disconnect()
        other.disconnect()
        self.other, other.other = other, self
        self.playing = other.playing = ""

    def disconnect(self) -> None:
        if self.other is not None:
            self.other.other = None
            self.other = None

    def echo(self, on: bool) -> None:
        self.echoing = on

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        self.played.append(clip.digest)
        self.playing = clip.digest
        return len(self.played)

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        self.played.append(f"{frequency:.0f}")
        return len(self.played)

    def stop(self) -> float:
        self.playing = ""
        return 0.0

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        return 1

    def stop_record(self) -> None: ...

    def mix(self, others: Sequence[Stream]) -> None:
        self.mixed = list(others)

    def send_digit(self, digit: str, milliseconds: int = 100) -> None: ...

    def statistics(self) -> StreamStatistics:
        return StreamStatistics(packets_received=self.heard)

    async def close(self) -> StreamStatistics:
        self.disconnect()
        self.closed = True
        return StreamStatistics(packets_received=50, packets_sent=49, lost=1, jitter=2.5)


class Tape:
    """A stand-in for a recording: it writes down whom it hears."""

    def __init__(self, path: Path, told: Callable[[str, float], None]) -> None:
        self.path = path
        self.told = told
        self.sides: list[tuple[Stream | None, Stream | None]] = []
        self.ended = False

    def turn(self, left: Stream | None, right: Stream | None) -> None:
        self.sides.append((left, right))

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.told("stopped", 1.5)


class Studio:
    """A stand-in for the media engine."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.tapes: list[Tape] = []
        self.full = False
        self.translations = 10

    async def open(self, listener: MediaListener, *, ipv6: bool = False, tcp: bool = False) -> Stream:
        await asyncio.sleep(0)
        stream = Stream(len(self.streams), listener)
        self.streams.append(stream)
        return stream

    def tape(self, path: Path, told: Callable[[str, float], None]) -> Tape:
        self.tapes.append(Tape(path, told))
        return self.tapes[-1]

    def loaded(self) -> int:
        return sum(1 for stream in self.streams if not stream.closed)

    def room(self) -> bool:
        return not self.full

    def translates(self, under_way: int) -> bool:
        return under_way < self.translations


class Town:
    """The directory and the registrar, by hand. Names are people, `#program`, or `x@elsewhere`."""

    main_domain = DOMAIN

    def __init__(self) -> None:
        self.bindings: dict[int, list[Binding]] = {}
        self.rules: dict[int, list[CallRule]] = {}
        self.settings: dict[tuple[int, str], object] = {}
        self.network = NetworkSettings()
        self.gateways: set[int] = set()
        self.ways: dict[str, ForeignRoute] = {}
        """Where numbers leave, as a Router would say."""

    @property
    def groups(self) -> Town:
        return self

    def is_member(self, group: str, account: Account) -> bool:
        return group == "ExternalGateways" and account.id in self.gateways

    def account(self, account_id: int) -> Account | None:
        return next((each for each in PEOPLE.values() if each.id == account_id), None)

    def own_settings(self, account_id: int) -> Mapping[str, object]:
        return {key: value for (owner, key), value in self.settings.items() if owner == account_id}

    def contacts(self, account_id: int) -> Sequence[Binding]:
        return self.bindings.get(account_id, [])

    def ringable(self, account_id: int) -> Sequence[Binding]:
        return self.contacts(account_id)

    async def reach(self, account_id: int, contact: str) -> Binding | None:
        return next((each for each in self.contacts(account_id) if each.contact == contact), None)

    def other_flow(self, account_id: int, tried: Collection[Flow], instance: str) -> Binding | None:
        found = [each for each in self.contacts(account_id) if each.reg_id and each.instance == instance]
        return next((each for each in found if each.flow not in tried), None)

    def setting(self, account_id: int, key: str) -> object:
        return self.settings.get((account_id, key))

    def call_rules(self, account_id: int, occasion: Occasion) -> Sequence[CallRule]:
        return self.rules.get(account_id, [])

    def resolve(
        self, address: Address, *, caller: Caller | None, services: bool = True, found: bool = False
    ) -> Resolution:
        return Resolution(self._route(address.local, address.domain, services), (f"{address} looked up",))

    def resolve_target(
        self, target: str, account: Account, *, caller: Caller | None = None, services: bool = True
    ) -> Resolution:
        if target.startswith("#"):
            return Resolution(ProgramRoute(target[1:], (), account))
        if target.startswith("<"):
            uri = Uri.parse(target.strip("<>"))
            return Resolution(self._route(uri.user, uri.host, services and uri.params.get("services") != "no"))
        local, _, domain = target.partition("@")
        return Resolution(self._route(local, domain or DOMAIN, services))

    def _route(self, local: str, domain: str, services: bool) -> Route:
        if local in self.ways:
            return self.ways[local]
        if domain != DOMAIN and not domain.startswith(("10.", "127.")):
            return ForeignRoute(Address(local, domain))
        if local in PEOPLE:
            return AccountRoute(PEOPLE[local], services)
        if local.startswith(("*33", "*34")):
            return ProgramRoute(MONITOR, (local[1:3], f"{local[3:]}@{DOMAIN}"), ALICE)
        if local.startswith("**"):
            return ProgramRoute(PICKUP, (f"{local[2:]}@{DOMAIN}",), ALICE)
        if local == "*8":
            return ProgramRoute(PICKUP, tuple(each.address for each in PEOPLE.values()), ALICE)
        if local in ("700", "701", "702"):
            return ProgramRoute(PARK, (DOMAIN, "701-702" if local == "700" else local), ALICE)
        if local in ("echo", "greeter"):
            return ProgramRoute(local, (), ALICE)
        if local == "mailbox":
            return ProgramRoute(local, (), BOB)
        return UnknownRoute(Address(local, DOMAIN))


class Book:
    def __init__(self) -> None:
        self.records: list[CallRecord] = []
        self.log: list[LogEntry] = []

    def opened(self, record: CallRecord) -> None: ...

    def write(self, record: CallRecord, log: Sequence[LogEntry] = ()) -> None:
        self.records.append(record)
        self.log += log


class Core:
    """The policy without its strictness: whoever sends from an account's address is that account."""

    def __init__(self, house: House) -> None:
        self._house = house

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        board = self._house.board
        if request.to_tag:
            if not board.in_dialog(transaction) and not self._house.proxy.in_dialog(transaction):
                transaction.reply(481)
        elif request.method == "INVITE":
            uri = Uri.parse(request.uri)
            account = PEOPLE.get(request.from_.uri.user)
            trunk = self._house.trunks.get(request.from_.uri.host, "")
            trusted = request.from_.uri.host == "carrier.test" or bool(trunk)
            caller = Caller(str(request.from_.uri), request.from_.display, account, trusted, trunk=trunk)
            services = uri.params.get("services") != "no"
            where = self._house.town.resolve(Address(uri.user, uri.host), caller=caller, services=services)
            board.invite(transaction, caller, where)
        else:
            transaction.reply(405)

    def on_ack(self, request: Request, flow: Flow) -> None:
        if not self._house.board.ack(request, flow):
            self._house.proxy.ack(request, flow)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        self._house.board.stray_response(response, flow)


class House:
    """The whole of it."""

    def __init__(
        self,
        settings: CallSettings | None = None,
        *,
        network: Network | None = None,
        address: tuple[str, int] = SERVER,
        also: tuple[tuple[str, int], ...] = (),
        tcp: tuple[tuple[str, int], ...] = (),
    ) -> None:
        """`also`: more UDP sockets than the one at `address`."""
        clock = LoopClock(asyncio.get_running_loop())
        self.network = network or MemoryNetwork(clock)
        self.metrics = Metrics()
        self.town = Town()
        self.studio = Studio()
        self.book = Book()
        # programs of others have their own pace, and this machine may be busy
        short = isinstance(self.network, MemoryNetwork)
        timers = Timers(t1=T1, t2=4 * T1, t4=4 * T1, trying=0.0) if short else Timers(trying=0.0)
        self.stack = SipStack(
            self.network,
            clock,
            SeededEntropy(),
            self.metrics,
            StackSettings(udp=(address, *also), tcp=tcp, timers=timers),
        )
        settings = settings or CallSettings(timers=SessionTimers(T1, 4 * T1, 60.0), signal=Limits(drain=0.2))
        self.exchange = Exchange(
            clock=clock,
            entropy=SeededEntropy(2),
            metrics=self.metrics,
            stack=self.stack,
            people=self.town,
            phones=self.town,
            media=self.studio,
            records=self.book,
            settings=settings,
        )
        self.board = Switchboard(self.exchange)
        bindings = Bindings(clock)
        self.proxy = Proxy(self.stack, self.metrics, bindings, bytes(32))
        self.proxy.on_passed = self.board.passed
        self.board.attach_proxy(self.proxy)
        self.stack.attach(Core(self))
        self._phones = 0
        self.trunks: dict[str, str] = {}
        """The trunks that calls are of, by the host of their From."""

    async def __aenter__(self) -> House:
        await self.stack.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.board.close(0.5)
        await self.proxy.close()
        await self.stack.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.stack.addresses[0][1]

    def phone(self, account: Account, *, registered: bool = True, agent: str = "") -> Phone:
        self._phones += 1
        assert isinstance(self.network, MemoryNetwork)
        phone = Phone(self.network, account, f"10.0.1.{self._phones}")
        if registered:
            contact = f"sip:{account.name}@{phone.local[0]}:{phone.local[1]}"
            flow = Flow("udp", SERVER, phone.local)
            binding = Binding(account.id, contact, contact, f"<{contact}>", flow, 1e12, "c", 1, user_agent=agent)
            self.town.bindings.setdefault(account.id, []).append(binding)
        return phone

    async def record(self) -> CallRecord:
        """The one record, when it is written."""
        async with asyncio.timeout(20):
            while not self.book.records:
                await asyncio.sleep(0.005)
        assert len(self.book.records) == 1
        return self.book.records[0]


class Phone:
    """A phone in the hands of the test: it sends what it is told, and shows what came, each message once."""

    patience = 20.0
    """Seconds that it waits for a message."""

    def __init__(self, network: MemoryNetwork, account: Account, host: str) -> None:
        self.account = account
        self.local = (host, 5060)
        self._socket = network.open(self.local, self._receive)
        self._inbox: list[Message] = []
        self._news = asyncio.Event()
        self._seen: set[bytes] = set()
        self._number = 100
        self._invited = 0
        self.repeats = 0
        self.tag = f"tag-{host}"
        self.call_id = f"call-{host}"
        self.remote_to = ""
        self.remote_target = ""
        self.invite: Request | None = None
        self.routes: list[str] = []

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        if data in self._seen:
            self.repeats += 1
            return
        self._seen.add(data)
        self._inbox.append(parse(data))
        self._news.set()

    async def _wait(self, wanted: Callable[[Message], bool], what: str) -> Message:
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    for message in self._inbox:
                        if wanted(message):
                            self._inbox.remove(message)
                            return message
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.account.name} waited for {what}; has {self._inbox}") from None

    async def request(self, method: str) -> Request:
        """The next request of that method."""
        found = await self._wait(lambda m: isinstance(m, Request) and m.method == method, method)
        assert isinstance(found, Request)
        if method == "INVITE":
            self.invite = found
        return found

    async def response(self, status: int, method: str = "INVITE") -> Response:
        found = await self._wait(
            lambda m: isinstance(m, Response) and m.status == status and m.method == method, f"{status} to {method}"
        )
        assert isinstance(found, Response)
        if method == "INVITE" and 100 < status < 300:
            self.remote_to = found.get("To") or ""
            if status == 200:
                self.routes = found.get_all("Record-Route")[::-1]
            if found.contacts:
                self.remote_target = found.contacts[0].text
        return found

    @property
    def inbox(self) -> list[Message]:
        return self._inbox

    def sdp(self, port: int = 4000, direction: str = "sendrecv", codecs: str = "0 8 101") -> bytes:
        return (
            f"v=0\r\no=- 1 1 IN IP4 {self.local[0]}\r\ns=-\r\nc=IN IP4 {self.local[0]}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {codecs}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        ).encode()

    def line(self) -> Phone:
        """The same telephone's next call."""
        line = copy.copy(self)
        line.tag, line.call_id = f"{self.tag}-2", f"{self.call_id}-2"
        line._number, line.routes, line.remote_to = self._number + 1000, [], ""
        return line

    # --- as a caller

    def call(self, uri: str, body: bytes | None = None, to: str = "", **headers: str) -> Request:
        self.remote_target = uri
        self.remote_to = to or f"<{uri}>"
        return self.send("INVITE", self.sdp() if body is None else body, **headers)

    def send(self, method: str, body: bytes = b"", content_type: str = "application/sdp", **headers: str) -> Request:
        """A request in (or, for the first INVITE, to) our dialog."""
        if method not in ("ACK", "CANCEL"):
            self._number += 1
        if method == "INVITE":
            self._invited = self._number
        number = self._invited if method in ("ACK", "CANCEL") else self._number
        request = Request(method, self.remote_target)
        host = f"{self.local[0]}:{self.local[1]}"
        branch = f"z9hG4bK-{host}-{number}" + ("-ack" if method == "ACK" else "")
        for route in self.routes:
            request.add("Route", route)
        request.add("Via", f"SIP/2.0/UDP {host};branch={branch};rport")
        request.add("Max-Forwards", "70")
        request.add("From", f'"{self.account.real_name}" <sip:{self.account.address}>;tag={self.tag}')
        request.add("To", self.remote_to)
        request.add("Call-ID", self.call_id)
        request.add("CSeq", f"{number} {method}")
        request.add("Contact", f"<sip:{self.account.name}@{host}>")
        for name, value in headers.items():
            request.set(name.replace("_", "-"), value)
        if body:
            request.set_body(body, content_type)
        self._socket.send(request.encode(), SERVER)
        return request

    def cancel(self, **headers: str) -> None:
        to, self.remote_to = self.remote_to, self.remote_to.partition(";tag=")[0]
        self.send("CANCEL", **headers)
        self.remote_to = to

    # --- as a callee

    def answer(self, request: Request, status: int, body: bytes = b"", **headers: str) -> Response:
        response = response_to(request, status, to_tag=None if status == 100 else self.tag)
        if request.method == "INVITE" and 100 < status < 300:
            self.routes = request.get_all("Record-Route")
            response.set("Contact", f"<sip:{self.account.name}@{self.local[0]}:{self.local[1]}>")
        for name, value in headers.items():
            response.add(name.replace("_", "-"), value)
        if body:
            response.set_body(body, "application/sdp")
        self._socket.send(response.encode(), SERVER)
        return response

    def takes(self, request: Request) -> None:
        """From now on `send` goes inside the dialog of this INVITE, as its callee."""
        self.call_id = request.call_id
        self.remote_to = request.get("From") or ""
        self.remote_target = request.contacts[0].text
