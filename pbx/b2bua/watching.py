"""What a call says of the lines of the accounts in it: told to `pbx.presence.lines` whenever its Signal has moved.

It decides nothing about the call. RFC 4235 §3.7.1 (trying, early, confirmed), §4.1 (why a line ended).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from directory.model import Caller
from pbx.b2bua.asserted import seen
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.phone_branch import leg_of
from pbx.presence.lines import Direction, Line, LineState
from pbx.records.record import LiveRecord
from pbx.signal.branch import Branch, BranchState, Device
from pbx.signal.port import SignalState

if TYPE_CHECKING:
    from pbx.b2bua.call import Call


def tell_lines(call: Call) -> None:
    """Bring the table up to date with this call."""
    lines: list[Line] = []
    if not call.ended:
        answered = call.record.answered is not None
        lines = _talking(call) if answered and call.parties else [*_caller(call), *_callees(call)]
    call.exchange.lines.update(call.id, lines, _endings(call))


def _talking(call: Call) -> list[Line]:
    """Those who talk now, whoever was in the call before. A program is on nobody's phone."""
    found = []
    for at, leg in enumerate(call.parties):
        account = leg.person.account
        if account is None:
            continue
        calls = isinstance(leg, IncomingLeg)
        peer = seen(call.parties[1 - at].person) if len(call.parties) == 2 else _absent(call, calls=calls)
        side = "o" if (len(call.parties) == 2 and at == 0) or (calls and at == 0) else str(account.id)
        direction: Direction = "initiator" if calls else "recipient"
        found.append(
            Line(f"{call.id}-{side}", account.id, direction, "confirmed", peer.uri, peer.name, leg.call_id, leg.tags)
        )
    return found


def _absent(call: Call, *, calls: bool) -> Caller:
    """The side of a call that has no leg: whom a caller has reached, or for whom a program called."""
    return Caller(_callee(call.record)) if calls else seen(call.origin.caller)


def _callee(record: LiveRecord) -> str:
    return f"sip:{record.callee}" if "@" in record.callee else record.dialled


def _caller(call: Call) -> list[Line]:
    record = call.record
    if record.caller_account is None:
        return []
    state: LineState = "early" if call.rung else "trying"
    if record.answered is not None:
        state = "confirmed"
    return [Line(f"{call.id}-o", record.caller_account, "initiator", state, _callee(record), "", record.call_id)]


def _callees(call: Call) -> list[Line]:
    """One line for each account whose phones ring, or the one that has answered. A program is on nobody's phone."""
    record, caller = call.record, seen(call.origin.caller)
    if record.answered is not None:
        if record.callee_account is None or record.program:
            return []
        account_id, call_id = record.callee_account, record.call_id
        return [Line(f"{call.id}-{account_id}", account_id, "recipient", "confirmed", caller.uri, caller.name, call_id)]
    found: dict[int, Line] = {}
    for branch in sorted(call.signal.open, key=lambda one: one.number):
        if not isinstance(branch.target, Device) or branch.state is not BranchState.RINGING:
            continue
        account = branch.target.account.id
        state: LineState = "early" if branch in call.rung else "trying"
        if account not in found or (found[account].state, state) == ("trying", "early"):
            line, dialog = f"{call.id}-{account}", _dialog(call, branch)
            found[account] = Line(line, account, "recipient", state, caller.uri, caller.name, *dialog)
    return list(found.values())


def _dialog(call: Call, branch: Branch) -> tuple[str, tuple[str, str]]:
    """Call-ID and tags of the dialog with a phone that rings."""
    leg = leg_of(call.runner(branch))
    return (call.record.call_id, ("", "")) if leg is None else (leg.call_id, leg.tags)


def _endings(call: Call) -> dict[Direction, str]:
    record = call.record
    if record.answered is None:
        failed = call.signal.state is SignalState.FAILED
        return dict.fromkeys(("initiator", "recipient"), _unanswered(record.status) if failed else "cancelled")
    if not call.ended:
        return {"initiator": "cancelled", "recipient": "cancelled"}  # answered elsewhere
    match record.ended_by:
        case "caller":
            return {"initiator": "local-bye", "recipient": "remote-bye"}
        case "callee":
            return {"initiator": "remote-bye", "recipient": "local-bye"}
        case _:
            return {"initiator": "error", "recipient": "error"}


def _unanswered(status: int) -> str:
    match status:
        case 487:
            return "cancelled"
        case 408 | 480:
            return "timeout"
        case 486 | 600 | 603:
            return "rejected"
        case _:
            return "error"
