"""What a call says of the lines of the accounts in it: told to `pbx.presence.lines` whenever its Signal has moved.

It decides nothing about the call. RFC 4235 §3.7.1 (trying, early, confirmed), §4.1 (why a line ended).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.b2bua.asserted import seen
from pbx.b2bua.phone_branch import leg_of
from pbx.presence.lines import Direction, Line, LineState
from pbx.signal.branch import Branch, BranchState, Device
from pbx.signal.signal import SignalState

if TYPE_CHECKING:
    from pbx.b2bua.call import Call


def tell_lines(call: Call) -> None:
    """Bring the table up to date with this call."""
    lines = [] if call.ended else [*_caller(call), *_callees(call)]
    call.exchange.lines.update(call.id, lines, _endings(call))


def _caller(call: Call) -> list[Line]:
    record = call.record
    if record.caller_account is None:
        return []
    state: LineState = "early" if call.rung else "trying"
    if record.answered is not None:
        state = "confirmed"
    peer = record.callee if "@" in record.callee else ""
    uri = f"sip:{peer}" if peer else record.dialled
    return [Line(f"{call.id}-o", record.caller_account, "initiator", state, uri, "", record.call_id)]


def _callees(call: Call) -> list[Line]:
    """One line for each account whose phones ring, or the one that has answered. A program is on nobody's phone."""
    record, caller = call.record, seen(call.origin.caller)
    if record.answered is not None:
        if record.callee_account is None or record.program:
            return []
        call_id = call.parties[1].call_id if len(call.parties) > 1 else record.call_id
        account_id = record.callee_account
        return [Line(f"{call.id}-{account_id}", account_id, "recipient", "confirmed", caller.uri, caller.name, call_id)]
    found: dict[int, Line] = {}
    for branch in sorted(call.signal.open, key=lambda one: one.number):
        if not isinstance(branch.target, Device) or branch.state is not BranchState.RINGING:
            continue
        account = branch.target.account.id
        state: LineState = "early" if branch in call.rung else "trying"
        if account not in found or (found[account].state, state) == ("trying", "early"):
            found[account] = Line(
                f"{call.id}-{account}", account, "recipient", state, caller.uri, caller.name, _call_id(call, branch)
            )
    return list(found.values())


def _call_id(call: Call, branch: Branch) -> str:
    runner = call.runner(branch)
    leg = None if runner is None else leg_of(runner)
    return call.record.call_id if leg is None else leg.call_id


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
