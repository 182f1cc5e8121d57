"""The list of its own calls that each account has: placed, answered, missed. Made of a call record when that is closed.

Not the records, which are the administrator's: a caller who hides himself is nobody here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pbx.records.record import CallRecord
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import Uri

Kind = Literal["placed", "answered", "missed"]
USUAL = 100
"""Entries that an account keeps where nobody has said how many."""
MOST = 1_000
"""Limit: entries of one account."""
_WORDS = {"busy": "busy", "no-answer": "no answer", "failed": "failed", "cancelled": "caller gave up"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One call of one account. `at`: wall seconds; `party`: address of the other one, empty when he hides himself, and
    what was dialled in a placed call; `note`: how it ended when the account did not talk. The account keeps `keep` of
    them."""

    account: int
    call: str
    at: float
    kind: Kind
    party: str
    name: str = ""
    seconds: float = 0.0
    note: str = ""
    keep: int = USUAL


@dataclass(frozen=True, slots=True)
class Offered:
    """Whom a call was for. `caller` and `name` as callees are shown him, both empty when he hides himself; `accounts`:
    whose rules or telephones were asked."""

    caller: str
    name: str
    accounts: frozenset[int]


def entries(record: CallRecord, offered: Offered, keep: Callable[[int], int]) -> Iterator[LogEntry]:
    """What goes into whose list. `keep` tells how many an account wants to have; 0: none."""
    found: Iterable[LogEntry] = _of_callees(record, offered)
    if record.caller_account is not None:
        note = "" if record.outcome == "answered" else _WORDS[record.outcome]
        party, seconds = address(record.dialled), record.duration
        found = (
            LogEntry(record.caller_account, record.id, record.started, "placed", party, "", seconds, note),
            *found,
        )
    for entry in found:
        if (most := keep(entry.account)) > 0:
            yield replace(entry, keep=most)


def _of_callees(record: CallRecord, offered: Offered) -> Iterator[LogEntry]:
    reached = {each for each in (*offered.accounts, record.callee_account) if each is not None}
    for account in sorted(reached - {record.caller_account}):
        talked = record.callee_account == account and record.answered is not None and record.program != "voicemail"
        yield LogEntry(
            account,
            record.id,
            record.started,
            "answered" if talked else "missed",
            address(offered.caller),
            offered.name,
            record.duration if talked else 0.0,
            "" if talked else _missed(record, account),
        )


def _missed(record: CallRecord, account: int) -> str:
    """Why the account has not talked: somebody else did, its voicemail did, or nobody."""
    if record.answered is None:
        return _WORDS.get(record.outcome, "")
    if record.callee_account == account:
        return record.program
    return f"answered elsewhere: {address(record.callee) or record.program}"


def address(uri: str) -> str:
    """`name@domain` of a SIP address; what is none stays as it is."""
    try:
        found = Uri.parse(uri)
    except SipSyntaxError:
        return uri
    return f"{found.user}@{found.host}" if found.is_sip and found.user else uri
