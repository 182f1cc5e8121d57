"""The telephones that set themselves up: kept in the database, known by MAC address or by the token in their URL.

A token is computed from the server's key, so that none is stored. The first of a telephone is given to people, who put
it into the telephone or scan it; it works once. What the telephone then fetches names the next one, and as soon as that
is used the one before is void: an old URL that somebody finds opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.storage.database import Database
from gateways.provisioning import tables
from gateways.provisioning.model import Phone
from gateways.provisioning.tables import Row

MOST_PHONES = 20_000  # Limit: telephones of one server.
MOST_UNKNOWN = 100  # Limit: telephones that have asked and are nobody's; the oldest are forgotten.
VALID = 7 * 86_400.0
"""Seconds for which the first token waits for its telephone."""
AGAIN = 600.0
"""Seconds in which a first token may be used again from the same address: telephones restart while they set up."""


@dataclass(frozen=True, slots=True)
class Seen:
    """When and how a telephone asked last; in memory only. `wall`: seconds since 1970."""

    wall: float
    source: str
    agent: str
    path: str


class Phones:
    """`await start()`. Changes return after their commit."""

    def __init__(self, clock: Clock, entropy: Entropy, database: Database, key: bytes) -> None:
        self._clock = clock
        self._entropy = entropy
        self._database = database
        self._key = hmac.digest(key, b"provisioning", "sha256")
        self._rows: dict[str, Row] = {}
        self._seen: dict[str, Seen] = {}
        self.unknown: OrderedDict[str, Seen] = OrderedDict()

    async def start(self) -> None:
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        self._rows = {row.phone.mac: row for row in await self._database.read(tables.load)}

    def all(self) -> Sequence[Phone]:
        return [row.phone for row in self._rows.values()]

    def find(self, mac: str) -> Phone | None:
        row = self._rows.get(mac)
        return None if row is None else row.phone

    def seen(self, mac: str) -> Seen | None:
        return self._seen.get(mac)

    async def put(self, phone: Phone) -> str:
        """Add a telephone, or give it to another account; tokens of before are void. Returns its first token."""
        if phone.mac not in self._rows and len(self._rows) >= MOST_PHONES:
            raise Failure("full", f"at most {MOST_PHONES} telephones, please")
        row = Row(phone, self._entropy.token(8), until=self._clock.wall() + VALID)
        await self._save(row)
        self.unknown.pop(phone.mac, None)
        return self._token(row, 0)

    async def remove(self, mac: str) -> None:
        """Raises Failure("not-found")."""
        if mac not in self._rows:
            raise Failure("not-found", f"there is no telephone {mac}")
        await self._database.write(lambda connection: tables.remove(connection, mac))
        self._rows.pop(mac, None)
        self._seen.pop(mac, None)

    async def forget(self, account_id: int) -> None:
        """The account has ended."""
        for mac in [mac for mac, row in self._rows.items() if row.phone.account_id == account_id]:
            await self.remove(mac)

    # --- tokens

    async def admitted(self, token: str, source: str) -> Phone | None:
        """The telephone of a token that is good now, for one that asks from `source`."""
        row = self._rows.get(token.partition("-")[0])
        if row is None:
            return None
        if hmac.compare_digest(token.encode(), self._token(row, row.turn + 1).encode()):
            await self._save(replace(row, turn=row.turn + 1))
            return row.phone
        if not hmac.compare_digest(token.encode(), self._token(row, row.turn).encode()):
            return None
        return row.phone if row.turn > 0 or await self._first(row, source) else None

    async def _first(self, row: Row, source: str) -> bool:
        now = self._clock.wall()
        if row.used:
            return source == row.used_from and now - row.used <= AGAIN
        if now > row.until:
            return False
        await self._save(replace(row, used=now, used_from=source))
        return True

    def following(self, mac: str) -> str:
        """The token that the telephone's files name."""
        row = self._rows[mac]
        return self._token(row, row.turn + 1)

    def _token(self, row: Row, turn: int) -> str:
        digest = hmac.digest(self._key, f"{row.phone.mac}:{row.salt}:{turn}".encode(), hashlib.sha256)
        return f"{row.phone.mac}-{base64.b32encode(digest[:15]).decode().lower()}"

    async def _save(self, row: Row) -> None:
        await self._database.write(lambda connection: tables.save(connection, row))
        self._rows[row.phone.mac] = row

    # --- who has asked

    def note(self, mac: str, seen: Seen) -> None:
        """A telephone asks; one that is nobody's is remembered for the administrator."""
        if mac in self._rows:
            self._seen[mac] = seen
            return
        self.unknown[mac] = seen
        self.unknown.move_to_end(mac)
        if len(self.unknown) > MOST_UNKNOWN:
            self.unknown.popitem(last=False)
