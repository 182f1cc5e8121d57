"""Parties whom others may hear, a recorder or a listener: they are offered only codecs that we understand.

Not here: who is recorded (`recording`) and who listens (`monitoring`).
"""

from __future__ import annotations

from directory.model import Account
from directory.settings import targets
from pbx.b2bua.exchange import People
from pbx.b2bua.leg import Leg


def may_be_heard(people: People, account: Account) -> bool:
    """Whether calls of an account may be recorded, or listened to."""
    if any(people.setting(account.id, key) == "YES" for key in ("RecordAlways", "RecordByKey")):
        return True
    listeners = people.setting(account.id, "MonitoredBy")
    words = targets(listeners) if isinstance(listeners, str | list) else ()
    return any(word.lower() != "nobody" for word in words)


def let_hear(one: Leg, other: Leg) -> None:
    """These two are about to talk; media of calls for help are as they come."""
    if not (one.exempt or other.exempt) and any(_may_be_heard(leg) for leg in (one, other)):
        one.media.overheard = other.media.overheard = True


def _may_be_heard(leg: Leg) -> bool:
    if leg.wants_recording or (leg.line is not None and leg.line.trunk.recording == "always"):
        return True
    account = leg.person.account
    return account is not None and may_be_heard(leg.exchange.people, account)
