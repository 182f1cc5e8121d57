"""What telephones have been told of what they watch, compared with what the server knows.

RFC 6665 §4.2.1.2: who has a promise is told how things are, at once and whenever they change.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from base.storage.database import Database
from pbx.presence.presence import ON_THE_PHONE
from pbx.presence.table import Kept
from server.house import House
from tests.simulation.subscribing import Known, Subscriber

if TYPE_CHECKING:
    from tests.simulation.phones import SimPhone
    from tests.simulation.town import Town

_LONGEST = 120.0
"""Seconds in which somebody who is being told has been told, or is given up."""


class Lamps:
    """Those of a town. `astray`: telephones whose way from the server was lost for a while."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.astray: set[SimPhone] = set()

    @property
    def subscribers(self) -> list[Subscriber]:
        return [each for phone in self._town.phones for each in phone.subscribers]

    def light(self) -> None:
        """Everybody is there: they begin to watch."""
        for subscriber in self.subscribers:
            subscriber.start()

    def forsake(self) -> None:
        """The server has stopped, and told them to come again, whether they have heard it or not."""
        for subscriber in self.subscribers:
            subscriber.until = 0.0

    def look(self) -> None:
        """Each subscription that was acknowledged is there, and who has it knows the last state or is being told."""
        for each in self.subscribers:
            wrong = self._wrong(each)
            if wrong and each.doubted == each.heard:
                self._town.watch.fault(f"{each} {wrong}")
            each.doubted = each.heard if wrong else -1

    async def settle(self) -> None:
        """Nobody calls any more: in a while all who watch know that."""
        town = self._town
        deadline = town.clock.now() + _LONGEST
        while town.server.up and (untold := [each for each in self.subscribers if not self._is_told(each)]):
            await asyncio.sleep(1.0)
            if town.clock.now() > deadline:
                town.watch.fault(f"{untold[0]} is still being told")
                return
        for _ in range(2 if self.subscribers and town.server.up else 0):
            await asyncio.sleep(2.0)
            self.look()

    def _wrong(self, subscriber: Subscriber) -> str:
        kept = _kept(self._town.house, subscriber)
        if kept is None:
            forgotten = subscriber.until > self._town.clock.now() + 2.0 and self._firm(subscriber)
            return f"was promised until {subscriber.until:.0f}, and is not there" if forgotten else ""
        if kept.subscription.asleep:  # a telephone with a connection has to come back by itself
            return "is never told" if self._firm(subscriber) else ""
        if not (_settled(kept) and subscriber.until):
            return ""
        now = _state(self._town.house, kept)
        wrong = now is not None and now != subscriber.known
        return f"was told {subscriber.known}, and it is {now}" if wrong else ""

    def _firm(self, subscriber: Subscriber) -> bool:
        """Nothing can have kept its NOTIFYs from it for as long as a server tries."""
        town, phone = self._town, subscriber.phone
        return town.network.weather.calm and phone.kind.transport == "udp" and phone not in self.astray

    def _is_told(self, subscriber: Subscriber) -> bool:
        kept = _kept(self._town.house, subscriber)
        return kept is None or kept.subscription.asleep or _settled(kept)


def _notifier(house: House) -> Any:
    return house.events._notifier


def count(house: House) -> int:
    """Subscriptions that the server has."""
    return len(_notifier(house)._table)


async def count_stored(house: House) -> int:
    """Those that a next process would take up."""
    database: Database = _notifier(house)._store._database
    return await database.read(
        lambda connection: connection.execute("SELECT count(*) FROM subscriptions").fetchone()[0]
    )


def _kept(house: House, subscriber: Subscriber) -> Kept | None:
    found: Kept | None = None if subscriber.id is None else _notifier(house)._table.find(subscriber.id)
    return found


def _settled(kept: Kept) -> bool:
    """Nothing more is to be sent, as things are, or waits for an answer."""
    subscription: Any = kept.subscription
    return not (subscription._in_flight or subscription._due)


def _state(house: House, kept: Kept) -> Known | None:
    """How things are; None while it is being found out."""
    account, events = kept.account, house.events
    assert account is not None
    if kept.event == "dialog":
        return {line.id: line.state for line in events.lines.of(account.id)}
    if kept.event == "message-summary":
        counts = events.lamps.counts(account.id)
        return None if counts is None else {"voice": f"{counts.new}/{counts.old}"}
    presence = _notifier(house)._packages["presence"].state(account)
    return {"basic": presence.tuples[0].basic, "phone": "on" if ON_THE_PHONE in presence.activities else ""}
