"""Calls that ring, picked up by number (`**202`, `*8`): which one is meant, and whether the caller may.

How it is handed over is `takeover`'s; a telephone that knows Replaces names the dialog itself (`replacing`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from base.log import get_logger
from directory.model import Caller, ProgramRoute
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.phone_branch import leg_of
from pbx.b2bua.replacing import take_place
from pbx.signal.branch import BranchState, Device
from pbx.sipcore.transactions import ServerTransaction

_log = get_logger("pbx.calls")


def pick_up(exchange: Exchange, transaction: ServerTransaction, caller: Caller, route: ProgramRoute) -> None:
    """The oldest call that rings at one of the addresses and that the caller may take. Who may not is told nothing of
    it: 480, as when nothing rings."""
    leg = next(_ringing(exchange, caller, route.parameters), None)
    _log.info("pickup", caller=caller.uri, at=",".join(route.parameters), call_id="" if leg is None else leg.call_id)
    if leg is None:
        exchange.metrics.count("calls.pickups.none")
        transaction.reply(480)
    else:
        take_place(exchange, transaction, caller, leg)


def _ringing(exchange: Exchange, caller: Caller, addresses: Collection[str]) -> Iterator[OutgoingLeg]:
    for call in exchange.calls.values():
        for branch in sorted(call.signal.open, key=lambda one: one.number):
            if not isinstance(branch.target, Device) or branch.state is not BranchState.RINGING:
                continue
            account, leg = branch.target.account, leg_of(call.runner(branch))
            if account.address not in addresses or leg is None or leg.ended or leg.replacing:
                continue
            if exchange.may_pick_up(caller, account):
                yield leg
