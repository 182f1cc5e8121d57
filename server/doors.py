"""The doors that need the operating system: IMAP with its certificate, and the control socket of the `tandem` command.

Not here: SIP, which has a network port of its own, so that a simulation can open the house without any of these.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from admin.configuration.configuration import Configuration
from admin.configuration.rooms import Rooms as ConfiguredRooms
from admin.desk import Desk
from admin.entrance import Entrance
from admin.ports import BlockedRow, Mailboxes
from admin.socket import ControlSocket
from admin.table import all_acts
from apps.environment_store import EnvironmentFiles
from apps.prompt_store import EnvironmentPrompts
from base.failures import Failure
from directory.directory import Directory
from directory.model import Account
from directory.secrets import NOBODY
from gateways.provisioning.administration import PhoneAdministration
from mail.imap.server import Endpoint, ImapServer
from pbx.mediaproxy.wav import convert_prompt
from pbx.policy.blocks import Blocks
from server.addresses import ANYWHERE
from server.certificates import CertificateKeeper
from server.house import House
from server.interfaces import AddressWatch
from server.options import ServeOptions
from server.phones import PhoneDoors

FALLBACK = 2000
"""Decision 17: a port below 1024 that may not be bound becomes 2000 + port."""


class Doors:
    """`open` them when the house stands, `close` them first."""

    def __init__(self, house: House, options: ServeOptions) -> None:
        self.notes: list[str] = []
        self.imap: list[str] = []
        self.provisioning: list[str] = []
        self._house = house
        self._options = options
        self._closing = AsyncExitStack()
        self._phones: PhoneAdministration | None = None

    async def open(self, shutdown: Callable[[], None]) -> None:
        """Raises Failure or OSError."""
        await self._provisioning()
        await self._control(shutdown)
        await self._imap()
        self._watch_addresses()

    async def close(self) -> None:
        await self._closing.aclose()

    def _watch_addresses(self) -> None:
        """Who listens everywhere is also called by the addresses that the machine gets later."""
        house = self._house
        if not any(listen.host in ANYWHERE for listen in self._options.config.sip.listen):
            return

        def came(host: str) -> None:
            house.directory.domain_book.add_host(host)
            house.stack.readdressed()

        def went(host: str) -> None:
            house.directory.domain_book.remove_host(host)
            house.stack.readdressed()

        watch = AddressWatch(came, went)
        watch.start()
        self._closing.callback(watch.close)

    async def _control(self, shutdown: Callable[[], None]) -> None:
        house = self._house
        mailboxes = _Mailboxes(
            house.store.remove_account, house.registrar.unregister_all, house.messenger.forget, house.book.forget
        )
        desk = Desk(
            house.directory,
            EnvironmentPrompts(house.environment, convert_prompt),
            house.monitor,
            mailboxes,
            _Process(shutdown),
            house.ground.clock,
            self._certificates(),
            house.trunks,
            _Blocks(house.blocks),
            house.workarounds,
            self._configuration(mailboxes),
            self._phones,
            house.recordings,
            house.lookups,
        )
        control = ControlSocket(self._options.control_socket, all_acts(desk), Entrance(house.directory), house.metrics)
        await control.start()
        self._closing.push_async_callback(control.close)

    def _configuration(self, mailboxes: Mailboxes) -> Configuration:
        house = self._house
        return Configuration(
            ConfiguredRooms(house.directory, house.trunks, house.workarounds),
            house.database,
            EnvironmentFiles(house.environment, convert_prompt),
            mailboxes,
            house.ground.clock,
            lambda: house.ground.entropy.password(16),
        )

    def _certificates(self) -> CertificateKeeper | None:
        if self._house.certificates is None:
            return None
        keeper = CertificateKeeper(self._house.certificates)
        keeper.start()
        self._closing.push_async_callback(keeper.close)
        return keeper

    async def _provisioning(self) -> None:
        house, config = self._house, self._options.config.provisioning
        tls = house.certificates.context if house.certificates is not None else None
        phones = PhoneDoors(house, config, tls)
        self._phones = await phones.open()
        self._closing.push_async_callback(phones.close)
        self.notes.extend(phones.notes)
        self.provisioning = phones.bound

    async def _imap(self) -> None:
        house, config = self._house, self._options.config.imap
        context = house.certificates.context if house.certificates is not None else None
        server = ImapServer(
            house.store, Passwords(house.directory), house.metrics, tls=context, spool=self._options.data / "spool"
        )
        self._closing.push_async_callback(server.close)
        for port, tls in ((config.port, False), (config.tls_port, True)):
            self.imap.append(await self._listen(server, config.address, port, tls=tls))

    async def _listen(self, server: ImapServer, host: str, port: int, *, tls: bool) -> str:
        try:
            bound = await server.start([Endpoint(host, port, tls)])
        except PermissionError:
            if port >= 1024:
                raise
            self.notes.append(f"port {port} may not be bound by this user: IMAP{' with TLS' if tls else ''} is on "
                              f"{port + FALLBACK}")  # fmt: skip
            return await self._listen(server, host, port + FALLBACK, tls=tls)
        except OSError as error:
            reason = "another program has it" if error.errno == errno.EADDRINUSE else str(error.strerror)
            raise Failure("unavailable", f"cannot open the IMAP port {host}:{port}: {reason}") from error
        return f"{bound[0][0]}:{bound[0][1]}{' (TLS)' if tls else ''}"


class Passwords:
    """Who may read mail (`mail.imap.ports.Authenticator`): any name of an account, with the account's password."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def authenticate(self, user: str, password: str) -> Account | None:
        local, _, host = user.rpartition("@") if "@" in user else (user, "", self._directory.main_domain)
        account = self._directory.login(local, host)
        right = self._directory.check_password(NOBODY if account is None else account.id, password)
        allowed = right and account is not None and self._directory.allows(account.id, "IMAP")
        return account if allowed else None


@dataclass(frozen=True, slots=True)
class _Mailboxes:
    """What ends with an account (`admin.ports.Mailboxes`)."""

    remove: Callable[[int], Awaitable[None]]
    unregister: Callable[[int], None]
    forget: Callable[[int], Awaitable[None]]
    forget_calls: Callable[[int], Awaitable[None]]

    async def remove_mail(self, account_id: int) -> None:
        self.unregister(account_id)
        await self.forget(account_id)
        await self.forget_calls(account_id)
        await self.remove(account_id)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """`admin.ports.Blocks`."""

    blocks: Blocks

    def blocked(self) -> Sequence[BlockedRow]:
        return [
            BlockedRow(each.source, round(left), each.failures, each.dropped) for each, left in self.blocks.blocked()
        ]

    def lift(self, address: str) -> bool:
        return self.blocks.lift(address)


@dataclass(frozen=True, slots=True)
class _Process:
    """`admin.ports.Server`."""

    stop: Callable[[], None]

    def shutdown(self) -> None:
        self.stop()
