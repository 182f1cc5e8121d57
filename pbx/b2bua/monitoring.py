"""Listening in: an account that may (`MonitoredBy`) hears both parties of a call, and neither hears it.

    *33202    listen to the call of extension 202
    *34202    the same, and be heard by both from the beginning
    then      0 only listen · 1 be heard by 202 alone · 3 be heard by both

It ends with the call, goes on through its transfers, and is noted in its record. Not here: the sums of the sound
(`pbx.mediaproxy.studio`). conventions §4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from base.failures import Failure
from base.log import get_logger
from directory.model import Account
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg
from pbx.b2bua.parking_voice import Deaf
from pbx.b2bua.program_leg import ProgramLeg
from pbx.b2bua.talk import Talk
from pbx.mediaproxy.engine import MediaStream
from pbx.records.record import MONITORED

_log = get_logger("pbx.calls")

_HEARD_BY = {"0": "nobody", "1": "one", "3": "both"}


def listen_in(exchange: Exchange, parameters: Sequence[str], leg: ProgramLeg) -> None:
    """A call has come to listen to another one: `parameters` are the code and the account's address. Who may not is
    told the same as when nobody talks. Raises Failure("invalid")."""
    if len(parameters) != 2 or leg.caller is None:
        raise Failure("invalid", "Nobody to listen to", private=",".join(parameters))
    code, address = parameters
    talk = next((each for each in reversed(exchange.talks) if _speaker(each, address) is not None), None)
    target = None if talk is None else _speaker(talk, address)
    account = None if target is None else target.person.account
    if talk is None or account is None or not exchange.may_monitor(leg.caller, account):
        exchange.metrics.count("calls.monitors.refused")
        leg.reject(480)
        return
    Monitor(talk, account, leg, "both" if code == "34" else "nobody").start()


def _speaker(talk: Talk, address: str) -> Leg | None:
    """The side of a talk that is an account's."""
    for leg in talk.sides or ():
        if leg.person.account is not None and leg.person.account.address == address:
            return leg
    return None


class Monitor(Deaf):
    """One who listens. Implements `audience.Listener`, and hears what happens to his leg."""

    def __init__(self, talk: Talk, account: Account, leg: ProgramLeg, heard_by: str) -> None:
        self._talk = talk
        self._account = account
        self._leg = leg
        self._heard_by = heard_by

    def start(self) -> None:
        self._leg.attach(self)
        self._talk.exchange.spawn(self._begin(), "monitor a call")

    async def _begin(self) -> None:
        if await self._leg.accept() is not None:
            return
        if self._talk.sides is None:
            self._leg.disconnect()
            return
        who = "" if self._leg.caller is None else self._leg.caller.uri
        _log.info("call monitored", by=who, account=self._account.address)
        self._talk.exchange.metrics.count("calls.monitors")
        self._talk.note(MONITORED, who)
        self._talk.audience.let_in(self)

    @property
    def stream(self) -> MediaStream | None:
        return None if self._leg.party is None else self._leg.party.stream

    def speaks_to(self, leg: Leg) -> bool:
        if self._heard_by == "one":
            return leg.person.account == self._account
        return self._heard_by == "both"

    def over(self) -> None:
        self._leg.disconnect()

    # --- told by the leg

    def leg_digit(self, digit: str) -> None:
        if digit in _HEARD_BY:
            self._heard_by = _HEARD_BY[digit]
            self._talk.audience.changed()

    def leg_disconnected(self) -> None:
        self._talk.audience.let_out(self)
