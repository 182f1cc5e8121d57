"""What a call that is over leaves in the lists of the accounts that had to do with it (`pbx.records.log`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.failures import Failure
from pbx.b2bua.asserted import recorded
from pbx.b2bua.exchange import People
from pbx.records.log import MOST, USUAL, LogEntry, Offered, entries
from pbx.records.record import CallRecord

if TYPE_CHECKING:
    from pbx.b2bua.call import Call


def logged(call: Call, closed: CallRecord) -> list[LogEntry]:
    """Entries for the caller, and for everybody whom it was for."""
    caller = call.origin.caller
    uri, name = ("", "") if caller.private else (recorded(caller), caller.name)
    offered = Offered(uri, name, frozenset(call.offered))
    return [*entries(closed, offered, lambda account: _kept(call.exchange.people, account))]


def _kept(people: People, account_id: int) -> int:
    """How many calls the list of an account holds."""
    try:
        most = people.setting(account_id, "CallLogs")
    except Failure:  # the account has ended meanwhile
        return 0
    return min(most, MOST) if isinstance(most, int) else USUAL
