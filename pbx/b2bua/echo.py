"""The programs that the B2BUA has itself: the echo (600), which plays back what it hears, the parking lot,
and listening to calls.

Other programs go to whom it is told (`apps.host`).
"""

from __future__ import annotations

from collections.abc import Sequence

from base.failures import Failure
from directory.model import MONITOR, PARK, Account
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.monitoring import listen_in
from pbx.b2bua.parking import Lots
from pbx.b2bua.program_leg import ProgramLeg as Held
from pbx.programs import ProgramLeg, Programs


class NativePrograms:
    """Runs `echo`, `park` and `monitor`, and hands every other program on."""

    def __init__(self, exchange: Exchange, others: Programs | None = None) -> None:
        self._exchange = exchange
        self._others = others
        self._lots = Lots(exchange)

    def start(self, program: str, parameters: Sequence[str], account: Account, leg: ProgramLeg) -> None:
        if program.lower() == "echo":
            self._exchange.spawn(_echo(leg), "echo")
        elif program.lower() == MONITOR and isinstance(leg, Held):
            listen_in(self._exchange, parameters, leg)
        elif program.lower() == PARK and isinstance(leg, Held):
            self._lots.arrive(parameters, account, leg)
        elif self._others is not None:
            self._others.start(program, parameters, account, leg)
        else:
            raise Failure("not-found", "No such program", private=program)


async def _echo(leg: ProgramLeg) -> None:
    if await leg.accept() is None:
        leg.echo(True)
