"""The connected line: what a telephone is told of the party that it talks to now, after a transfer or a pickup, and
when a trusted peer says that it is somebody else.

It sends nothing; the headers go with an offer, a 200 or `Leg.refresh`. RFC 3325 §5, §7 (whether one's own telephones
get P-Asserted-Identity is policy), RFC 4916 (a From that changes within a dialog).

Deviation: a From that others change within a call (RFC 4916) is answered to, but not passed on: nobody has proved it.
Accounts and gateways that register keep the name that their password proves.
"""

from __future__ import annotations

from pbx.b2bua.asserted import ANONYMOUS, headers_for, shown_as
from pbx.b2bua.leg import Leg

FROM_CHANGE = "from-change"

Headers = tuple[tuple[str, str], ...]


def introduce(leg: Leg, other: Leg) -> Headers:
    """The headers that tell the peer of `leg` whom he talks to. A peer that knows RFC 4916 finds the same in From."""
    person = other.person
    if leg.knows_from_change and leg.session is not None and person.uri:
        leg.session.dialog.local = shown_as(person)
    if leg.trusted:
        return headers_for(person, trusted=True)
    if leg.person.account is None:
        return ()
    return (("P-Asserted-Identity", ANONYMOUS),) if person.private else headers_for(person, trusted=True)
