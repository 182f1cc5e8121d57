"""The echo program (600): it answers, plays back what it hears, and ends with the caller. A native `Programs` entry.

Other programs go to whom it is told (`apps.host`).
"""

from __future__ import annotations

from collections.abc import Sequence

from base.failures import Failure
from directory.model import Account
from pbx.b2bua.exchange import Exchange
from pbx.programs import ProgramLeg, Programs


class NativePrograms:
    """Runs `echo` itself and hands every other program on."""

    def __init__(self, exchange: Exchange, others: Programs | None = None) -> None:
        self._exchange = exchange
        self._others = others

    def start(self, program: str, parameters: Sequence[str], account: Account, leg: ProgramLeg) -> None:
        if program.lower() == "echo":
            self._exchange.spawn(_echo(leg), "echo")
        elif self._others is not None:
            self._others.start(program, parameters, account, leg)
        else:
            raise Failure("not-found", "No such program", private=program)


async def _echo(leg: ProgramLeg) -> None:
    if await leg.accept() is None:
        leg.echo(True)
