"""All trunks of this server: kept in the database, registered, and found by name or by the calls that they send.

RFC 3261 §10 (our side of registrations).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from directory.numbers import FORMS, countries
from directory.secrets import Keyring
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.uri import Uri
from pbx.trunk import tables
from pbx.trunk.credentials import Login
from pbx.trunk.line import Line
from pbx.trunk.model import INBOUND, SHOWS, SUPERVISION, Trunk
from pbx.trunk.ports import Stack
from pbx.trunk.tones import tones

_log = get_logger("pbx.trunk")

MOST_TRUNKS = 500
"""Limit: trunks of one server; each keeps a registration alive."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """For people: its `condition` in a word or two, what its provider has `said`, and the seconds `left` until the next
    thing happens."""

    trunk: Trunk
    condition: str
    said: str
    left: float


class Trunks:
    """`await start()`, then `wake()` when requests can be sent."""

    def __init__(
        self, clock: Clock, entropy: Entropy, metrics: Metrics, stack: Stack, database: Database, keyring: Keyring
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._stack = stack
        self._database = database
        self._keyring = keyring
        self._lines: dict[str, Line] = {}
        self._awake = False
        self._metrics = metrics
        self._complained: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        metrics.gauge("pbx.trunks.down", lambda: sum(not line.sound for line in self._lines.values()))

    async def start(self) -> None:
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        for row in await self._database.read(tables.load):
            self._use(row)

    def wake(self) -> None:
        """Requests can be sent now."""
        self._awake = True
        for line in self._lines.values():
            line.start()

    def close(self) -> None:
        for line in self._lines.values():
            line.abandon()

    # --- for people

    def rows(self) -> Sequence[TrunkRow]:
        now = self._clock.now()
        return [
            TrunkRow(line.trunk, line.condition, line.said, max(0.0, line.due - now)) for line in self._lines.values()
        ]

    async def put(self, trunk: Trunk, password: str | None) -> None:
        """Add a trunk, or change the one of that name; None keeps its password. Raises Failure("invalid")."""
        _check(trunk)
        before = self._lines.get(trunk.name)
        if before is None and len(self._lines) >= MOST_TRUNKS:
            raise Failure("full", f"at most {MOST_TRUNKS} trunks, please")
        secret = before.password if password is None and before is not None else password or ""
        stays = before is not None and secret == before.password and before.trunk.is_same_line(trunk)
        # Another registration gets another contact, so that taking the old one back does not hit the new one.
        contact = before.contact_user if stays and before is not None else f"t-{self._entropy.token(8)}"
        named = stays and before is not None and before.named
        row = tables.Row(trunk, self._keyring.seal(secret, _purpose(trunk.name)), contact, named)
        await self._database.write(lambda connection: tables.save(connection, row))
        if before is not None and stays:
            before.change(trunk)
        else:
            self._replace(before, row)

    def _replace(self, before: Line | None, row: tables.Row) -> None:
        if before is not None:
            before.stop()
        self._use(row)
        if self._awake:
            self._lines[row.trunk.name].start()

    async def rehearsal(self, copy: Database) -> Trunks:
        """The same trunks over a copy of the table. They are never woken: nothing is sent."""
        rehearsed = Trunks(self._clock, self._entropy, Metrics(), self._stack, copy, self._keyring)
        await rehearsed.start()
        return rehearsed

    def adopt(self, rows: Sequence[tables.Row]) -> None:
        """The table was written to by way of a rehearsal, and holds these rows."""
        names = {row.trunk.name for row in rows}
        for name in [name for name in self._lines if name not in names]:
            self._lines.pop(name).stop()
        for row in rows:
            before = self._lines.get(row.trunk.name)
            if before is not None and before.contact_user == row.contact:
                before.change(row.trunk)
            else:
                self._replace(before, row)

    async def remove(self, name: str) -> None:
        """Take its registration back and forget it. Raises Failure("not-found")."""
        line = self.line(name)
        await self._database.write(lambda connection: tables.remove(connection, name))
        del self._lines[name]
        line.stop()

    def line(self, name: str) -> Line:
        """Raises Failure("not-found")."""
        found = self._lines.get(name)
        if found is None:
            raise Failure("not-found", f"there is no trunk {name}")
        return found

    # --- for calls

    def leading_to(self, domain: str) -> Line | None:
        """The trunk that an address of another domain leaves by: `number@name`, or the provider's own domain."""
        found = self._lines.get(domain)
        if found is not None:
            return found
        return next((line for line in self._lines.values() if line.trunk.domain == domain), None)

    def sending(self, request: Request, flow: Flow) -> Line | None:
        """The trunk that a request outside dialogs comes from: it names our secret contact, which only the provider
        knows, or (`Trunk.inbound`) comes from address and port of the server that we are registered with: other
        telephones may be behind the same address. Never by its From."""
        try:
            user = Uri.parse(request.uri).user
        except SipSyntaxError:
            user = ""
        lines = self._lines.values()
        named = next((line for line in lines if line.contact_user == user), None)
        if named is not None:
            self._learn(named)
            return named
        near = [line for line in lines if line.server == flow.remote]
        found = next((line for line in near if line.sends(flow)), None)
        if found is None and near:
            self._unnamed(near[0])
        return found

    def _unnamed(self, line: Line) -> None:
        self._metrics.count("pbx.trunks.unnamed")
        if line.trunk.name not in self._complained:
            self._complained.add(line.trunk.name)
            cure = f"if these calls are the provider's: tandem trunk change {line.trunk.name} --inbound address"
            _log.warning("a call from the provider's server names no contact of ours", trunk=line.trunk.name, cure=cure)

    def _learn(self, line: Line) -> None:
        """The provider names our contact: over UDP what does not is taken for forged (`Trunk.inbound`)."""
        if not line.named:
            line.named = True
            task = asyncio.get_running_loop().create_task(self._remember(line.trunk.name, line.contact_user))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _remember(self, name: str, contact: str) -> None:
        try:
            await self._database.write(lambda connection: tables.has_named(connection, name, contact))
        except Failure as failure:  # then it is learned anew after a restart
            _log.warning("it is not kept that a provider names our contact", trunk=name, cause=str(failure))

    def _use(self, row: tables.Row) -> None:
        password = self._keyring.open(row.sealed, _purpose(row.trunk.name))
        login = Login(row.trunk.login or row.trunk.user, password)
        line = Line(self._clock, self._entropy, self._stack, row.trunk, login, row.contact)
        line.named = row.named
        self._lines[row.trunk.name] = line


def _purpose(name: str) -> str:
    return f"password of the trunk {name}"


def _check(trunk: Trunk) -> None:
    if not _NAME.fullmatch(trunk.name):
        raise Failure("invalid", f"a trunk's name is 1 to 32 lower-case letters, digits and dashes, not {trunk.name!r}")
    if trunk.transport not in ("", "udp", "tcp", "tls"):
        raise Failure("invalid", f"the transport is udp, tcp or tls, not {trunk.transport!r}")
    if trunk.inbound not in INBOUND:
        raise Failure("invalid", f"calls are known by {', '.join(INBOUND)}, not {trunk.inbound!r}")
    if trunk.numbers not in FORMS:
        raise Failure("invalid", f"numbers are sent as {', '.join(FORMS)}, not {trunk.numbers!r}")
    if trunk.country and trunk.country not in countries():
        raise Failure("invalid", f"{trunk.country!r} is no country: two letters, such as DE or US")
    if trunk.numbers != "dialled" and not trunk.country:
        raise Failure("invalid", f"to send numbers as {trunk.numbers}, say the country in which they are dialled")
    if trunk.shows not in SHOWS:
        raise Failure("invalid", f"callees see the number of the {' or the '.join(SHOWS)}, not {trunk.shows!r}")
    if trunk.supervision not in SUPERVISION:
        raise Failure("invalid", f"supervision is {' or '.join(SUPERVISION)}, not {trunk.supervision!r}")
    if trunk.recording not in ("none", "always"):
        raise Failure("invalid", f"recording is none or always, not {trunk.recording!r}")
    try:
        tones(trunk.disconnect_tone)
    except ValueError as error:
        raise Failure("invalid", f"the disconnect tone: {error}") from error
    if not 60 <= trunk.expires <= 86_400:
        raise Failure("invalid", "expires is 60 to 86400 seconds")
    if trunk.options and not 10 <= trunk.options <= 3600:
        raise Failure("invalid", "options is 10 to 3600 seconds, or 0 for never")
    if trunk.registers and not trunk.user:
        raise Failure("invalid", "a trunk that registers needs a user")
    try:
        Uri.parse(str(trunk.next_hop))
        Uri.parse(str(trunk.identity))
    except SipSyntaxError as error:
        raise Failure("invalid", f"the domain or proxy is no host: {error}") from error
