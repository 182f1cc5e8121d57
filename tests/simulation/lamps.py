"""What the server knows of its subscriptions, to be compared with what subscribers have been told."""

from __future__ import annotations

from typing import Any

from base.storage.database import Database
from pbx.presence.presence import ON_THE_PHONE
from pbx.presence.table import Kept
from pbx.sipcore.dialog import DialogId
from server.house import House
from tests.simulation.subscribing import Known


def subscriptions(house: House) -> Any:
    notifier: Any = house.events._notifier
    return notifier._table


def kept_of(house: House, dialog_id: DialogId) -> Kept | None:
    found: Kept | None = subscriptions(house).find(dialog_id)
    return found


def is_told(kept: Kept) -> bool:
    """Nothing more is to be sent, as things are, or waits for an answer. Who has no way to be told sleeps."""
    subscription: Any = kept.subscription
    return subscription.asleep or not (subscription._in_flight or subscription._due)


def untrue(house: House, kept: Kept, known: Known) -> Known:
    """How things are, when that is not what is known; empty when it is, or when it is being found out."""
    account, events = kept.account, house.events
    assert account is not None
    now: Known
    if kept.event == "dialog":
        now = {line.id: line.state for line in events.lines.of(account.id)}
        return (now or {"": "no calls"}) if now != known else {}
    if kept.event == "message-summary":
        counts = events.lamps.counts(account.id)
        now = known if counts is None else {"voice": f"{counts.new}/{counts.old}"}
    else:
        notifier: Any = events._notifier
        state = notifier._packages["presence"].state(account)
        now = {"basic": state.tuples[0].basic, "phone": "on" if ON_THE_PHONE in state.activities else ""}
    return now if now != known else {}


async def stored_subscriptions(house: House) -> int:
    """Those that a next process would take up."""
    notifier: Any = house.events._notifier
    database: Database = notifier._store._database
    return await database.read(
        lambda connection: connection.execute("SELECT count(*) FROM subscriptions").fetchone()[0]
    )
