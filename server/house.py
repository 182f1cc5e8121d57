"""The house: every room of one server, made and joined by hand, in the order of the floors.

The only place that sees everything. Not here: the real clock, sockets and files (`server.compose` hands them in; a
simulation hands in others), nor any decision about a call or a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from apps.clips import Clips
from apps.environment import Folders, stock_environment
from apps.files import AccountFiles
from apps.host import ApplicationHost
from apps.letters import StoredLetters
from apps.ports import Wave
from apps.services import Services
from apps.spool import Spool
from base.certificates import Certificates
from base.clock import Clock
from base.config import Config
from base.entropy import Entropy
from base.helper import HelperProgram
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Databases
from base.work import Run
from cgpl import ProgramCache
from directory.directory import Directory
from directory.firststart import Credentials, default_domain, prepare
from directory.network import Fixed
from directory.secrets import Keyring
from mail.delivery import Delivery
from mail.store import MailStore
from pbx.b2bua.exchange import CallSettings, Exchange
from pbx.b2bua.switchboard import Switchboard
from pbx.mediaproxy.engine import MediaEngine
from pbx.mediaproxy.wav import duration, repair_wav
from pbx.messages.server import Messenger
from pbx.nat.keepalive import KeepAlive
from pbx.policy.policy import Policy, Rooms
from pbx.policy.settings import ALLOWED, PolicySettings
from pbx.presence.room import Events
from pbx.presence.watchers import Watchers
from pbx.proxy.anchors import Anchors
from pbx.proxy.proxy import Proxy
from pbx.recordings.library import Bounds, Library
from pbx.records.book import CallBook
from pbx.records.outlets import FolderOutlet, HelperOutlet, Outlet, RecordKeeper, WebOutlet
from pbx.registrar.bindings import Bindings
from pbx.registrar.gruu import Gruus
from pbx.registrar.qualify import Qualifier, Qualifying
from pbx.registrar.server import Registrar
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.section_guard import media_security
from pbx.sipcore.session_ports import SessionTimers
from pbx.sipcore.timers import Timers
from pbx.toll.guard import TollGuard
from pbx.transport.network import Network
from pbx.transport.stack import SipStack
from pbx.trunk.trunks import Trunks
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.server import WorkaroundStore
from server import bridges
from server.listening import stack_settings
from server.lookups import look_ups
from server.monitor import HouseMonitor
from server.postmaster import Postmaster

_log = get_logger("server")

DRAIN = 5.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What the house stands on: the ports to the world. `run` does blocking file work; `key` seals secrets."""

    clock: Clock
    entropy: Entropy
    network: Network
    databases: Databases
    media: MediaEngine
    run: Run
    data: Path
    key: bytes
    hosts: Sequence[str] = ()
    timers: Timers = field(default_factory=Timers)
    tls: bool = False
    """Whether there are certificates, in the data folder (a simulation has none)."""
    programs: ProgramCache | None = None
    """Compiled programs that outlive the house (a simulation makes many houses); then none is compiled beforehand."""
    folders: Folders | None = None
    """What has been read of the folders of programs and prompts, likewise."""


class House:
    """One server: `await open()`, then `await close()` in any case. Further doors: `server.doors`."""

    def __init__(
        self, ground: Ground, config: Config, metrics: Metrics, version: str, *, domain: str | None = None
    ) -> None:
        self.ground = ground
        self.config = config
        self.version = version
        self.metrics = metrics
        self.made: Sequence[Credentials] = ()
        self.certificates: Certificates | None = None
        self._domain = domain
        self._closing = AsyncExitStack()

    async def open(self) -> None:
        """Build the rooms from the ground up and open the SIP door. Raises Failure or OSError."""
        await self._floor_directory()
        self._floor_mail()
        await self._floor_calls()
        self._floor_programs()
        await self._join()
        await self._open_sip()

    async def close(self) -> None:
        """Drain calls, then shut every room in the reverse order of its opening."""
        await self._closing.aclose()

    # --- floor 1

    async def _floor_directory(self) -> None:
        ground = self.ground
        self.database = await ground.databases.main()
        self._closing.push_async_callback(ground.databases.close)
        self.keyring = Keyring(ground.key, ground.entropy)
        self.directory = await Directory.open(
            self.database,
            self.keyring,
            main_domain=self._domain,
            hosts=ground.hosts,
            fixed=Fixed(trusted=self.config.sip.trusted, lan=self.config.nat.lan),
        )
        default = self._domain or default_domain(ground.hosts[0] if ground.hosts else "")
        self.made = await prepare(self.directory, default, ground.entropy)
        if ground.tls:
            names = [self.directory.main_domain, *ground.hosts]
            self.certificates = await ground.run(lambda: Certificates(ground.data / "tls", names, ground.clock.wall))

    # --- floor 2, left: mail

    def _floor_mail(self) -> None:
        ground = self.ground
        self.store = MailStore(ground.databases, ground.clock, self.metrics)
        self._closing.push_async_callback(self.store.close)
        self.delivery = Delivery(self.store, self.directory, ground.clock, ground.entropy, self.metrics)

    # --- floor 2, right: calls

    async def _floor_calls(self) -> None:
        ground = self.ground
        clock, entropy, metrics = ground.clock, ground.entropy, self.metrics
        self.workarounds = WorkaroundStore(self.database)
        await self.workarounds.start()
        done = self.workarounds.table
        self.bindings = Bindings(clock)
        gruus = Gruus(ground.key, entropy, self.directory, self.bindings)
        self.registrar = Registrar(
            clock,
            entropy,
            metrics,
            self.database,
            self.bindings,
            contacts=self._phones_allowed,
            workarounds=done,
            gruus=gruus,
            service_route=lambda flow: self.stack.contact_for(flow),
        )
        await self.registrar.start()
        self._closing.push_async_callback(self.registrar.close)
        self.stack = SipStack(
            ground.network,
            clock,
            entropy,
            metrics,
            stack_settings(
                self.config,
                ground.timers,
                self.certificates,
                lambda host: self.directory.local_domain(host) is not None,
            ),
        )
        self.book = CallBook(self.database, clock, metrics)
        await self.book.start()
        self._closing.push_async_callback(self.book.close)
        await self._record_outlets()
        await self._open_library()
        self.lookups = await look_ups(self.config.router, metrics, self.directory, ground.network, self._closing)
        self.proxy = Proxy(self.stack, metrics, self.bindings, ground.key, done)
        self.proxy.gruus = gruus
        self._closing.push_async_callback(self.proxy.close)
        self.events = Events(
            clock,
            entropy,
            metrics,
            self.stack,
            self.directory,
            self.bindings,
            self.store.voice_counts,
            self.database,
            workarounds=done,
            gruus=gruus,
        )
        await self.events.start()
        self._closing.push_async_callback(self.events.close)
        self.messenger = Messenger(clock, metrics, self.stack, self.directory, self.bindings, self.database)
        await self.messenger.start()
        self._closing.push_async_callback(self.messenger.close)
        self.trunks = Trunks(clock, entropy, metrics, self.stack, self.database, self.keyring)
        await self.trunks.start()
        watchers = Watchers(self.directory)
        timers = SessionTimers(t1=ground.timers.t1, t2=ground.timers.t2)
        self.switchboard = Switchboard(
            Exchange(
                clock,
                entropy,
                metrics,
                self.stack,
                self.directory,
                self.bindings,
                ground.media,
                self.book,
                CallSettings(
                    timers=timers,
                    security=media_security(self.config.media.security),
                ),
                self.events.lines,
                done,
                gruus,
                recordings=self.recordings,
                may_monitor=watchers.may_monitor,
                may_pick_up=watchers.may_watch,
            )
        )

    async def _record_outlets(self) -> None:
        config, ground = self.config.records, self.ground
        outlets: list[Outlet] = []
        if config.folder:
            outlets.append(FolderOutlet(ground.data / config.folder, config.format))
        if config.helper:
            helper = HelperProgram("records", config.helper)
            await helper.start()
            self._closing.push_async_callback(helper.close)
            outlets.append(HelperOutlet(helper, config.helper))
        if config.url:
            outlets.append(WebOutlet(config.url))
        if outlets or config.days:
            keeper = RecordKeeper(self.database, ground.clock, self.metrics, outlets, config.days)
            keeper.start()
            self._closing.push_async_callback(keeper.close)

    async def _open_library(self) -> None:
        config, ground = self.config.recordings, self.ground
        self.recordings = Library(
            self.database,
            ground.clock,
            self.metrics,
            ground.run,
            ground.data / config.folder,
            Bounds(config.free, config.days),
        )
        await self.recordings.start()
        self._closing.push_async_callback(self.recordings.close)

    def _phones_allowed(self, account_id: int) -> int:
        allowed = self.directory.setting(account_id, "MaxSignalContacts")
        return allowed if isinstance(allowed, int) else 1

    # --- floor 4: programs

    def _floor_programs(self) -> None:
        ground = self.ground
        run = ground.run
        self.environment = stock_environment(ground.data / "environment", ground.folders)
        self.host = ApplicationHost(
            Services(
                environment=self.environment,
                people=self.directory,
                letters=StoredLetters(self.store),
                post=self.delivery,
                legs=self.switchboard,
                clock=ground.clock,
                entropy=ground.entropy,
                metrics=self.metrics,
                spool=Spool(ground.data / "spool", ground.entropy, run),
                clips=Clips(ground.data / "clips", run),
                files=AccountFiles(ground.data / "files", run),
                calls=self.book,
                wave=Wave(repair=_repair, duration=duration),
            ),
            programs=ground.programs,
        )
        self.switchboard.attach(self.host)
        self.switchboard.exchange.sound = self.host.sound
        postmaster = Postmaster(ground.clock, self.metrics, self.directory, self.delivery)
        self._closing.push_async_callback(postmaster.close)
        guard = TollGuard(ground.clock, self.metrics, self.directory, postmaster)
        self.switchboard.exchange.toll = guard
        self._closing.callback(bridges.locks(self.directory, guard.forget))
        self.switchboard.attach_proxy(self.proxy)
        self.switchboard.exchange.trunks = self.trunks
        self.switchboard.exchange.lookups = self.lookups
        always = self.config.nat.media == "always"
        anchors = Anchors(ground.clock, ground.media, self.stack, self.metrics, always=always)
        self.proxy.anchors = self.switchboard.exchange.anchors = anchors
        self.proxy.on_passed = self.switchboard.passed

    # --- what meets across floors

    async def _join(self) -> None:
        feed = bridges.lamp(self.store, self.events.lamps.changed)
        self._closing.callback(feed.close)
        self._closing.callback(bridges.watchers(self.directory, self.events.review, self.events.gone))
        self._closing.callback(bridges.passwords(self.directory, self._logged_out))
        self._closing.callback(bridges.services(self.directory, self._logged_out))
        policy = Policy(
            self.ground.clock,
            self.ground.entropy,
            self.metrics,
            self.directory,
            self.stack,
            Rooms(self.switchboard, self.events, self.registrar, self.proxy, self.messenger),
            PolicySettings(allowed=(*ALLOWED, "REFER")),
            self.workarounds.table,
            self.trunks,
        )
        self._closing.callback(policy.close)
        self.stack.attach(policy)
        self.stack.answer_source(self._source_port)
        self.blocks = policy.blocks
        self.stack.shut_out = policy.blocks.shut_out
        self._closing.callback(bridges.surroundings(self.directory, self.stack))
        bridges.peers(self.directory, self.stack)
        bridges.admission(self.directory, self.bindings, self.stack)
        self.stack.on_flow_ended(self.registrar.flow_ended)
        self.stack.way = self.bindings.way
        if self.ground.programs is None:
            await self.host.warm()
        recovered = await self.host.recover()
        if recovered:
            _log.info("recordings recovered", count=recovered)

    def _logged_out(self, account_id: int) -> None:
        """What began with the old password of an account ends; calls go on."""
        self.registrar.unregister_all(account_id)
        self.events.logged_out(account_id)

    def _source_port(self, request: Request, flow: Flow) -> bool:
        done = self.workarounds.table.for_(request.get("User-Agent") or "", flow.remote[0])
        return Workaround.SOURCE_PORT in done

    # --- the SIP door

    async def _open_sip(self) -> None:
        await self.stack.start()
        self._closing.push_async_callback(self.stack.close)
        self._closing.push_async_callback(self._hang_up)
        self.events.wake()
        self.messenger.wake()
        self.trunks.wake()
        self._closing.callback(self.trunks.close)
        qualifier = Qualifier(
            self.ground.clock,
            self.ground.entropy,
            self.metrics,
            self.stack,
            self.bindings,
            Qualifying(self.config.sip.qualify),
            self.workarounds.table,
        )
        qualifier.start()
        self._closing.callback(qualifier.close)
        keepalive = KeepAlive(
            self.ground.clock,
            self.metrics,
            self.stack,
            self.bindings,
            self.config.nat.keepalive,
            self.config.nat.interval,
            self.workarounds.table,
        )
        keepalive.start()
        self._closing.callback(keepalive.close)
        self.monitor = HouseMonitor(
            self.version, self.ground.clock, self.metrics, self.directory, self.bindings, self.switchboard, self.book
        )
        self.monitor.addresses = [f"{kind} {_bracketed(host)}:{port}" for kind, (host, port) in self.stack.addresses]

    async def _hang_up(self) -> None:
        await self.host.close()
        await self.switchboard.close(DRAIN)
        self.events.farewell()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _repair(path: Path) -> None:
    repair_wav(path)
