"""What a party asks within a call that a program has: a key as INFO, a transfer, and what else the program hears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.b2bua.bodies import info_digit
from pbx.b2bua.leg import Leg
from pbx.b2bua.referral import refer_from_program
from pbx.b2bua.relay_request import pass_on
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.program_leg import ProgramLeg


def take_request(program: ProgramLeg, leg: Leg, transaction: ServerTransaction) -> None:
    """Answer a request of `leg`, or pass it on to who talks with it."""
    request = transaction.request
    other = None if program.bridged is None else program.bridged.party
    if request.method == "INFO" and (digit := info_digit(request)) is not None:
        transaction.reply(200)
        if digit:
            program.leg_digit(leg, digit)
    elif request.method == "REFER":
        refer_from_program(program, leg, transaction)
    elif program.talk is not None and (status := program.talk.asked(leg, request)):
        transaction.reply(status)
    elif other is not None:
        pass_on(leg, other, transaction)
    elif request.method == "INFO":
        transaction.reply(200)
        program.leg_info(request.content_type, request.body)
    else:
        transaction.reply(405)
