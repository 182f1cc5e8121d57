"""Why a Signal rings somewhere else than where it was sent first. Values only; it is told by `pbx.b2bua.diversion`."""

from __future__ import annotations

import enum

from directory.model import Stage


class Cause(enum.Enum):
    """What moved a call on; MEMBER: the address was a group's."""

    ALWAYS = "unconditional"
    NO_ANSWER = "no answer"
    BUSY = "busy"
    NO_DEVICE = "no device"
    FAILURE = "failure"
    TELEPHONE = "redirected by a telephone"
    PROGRAM = "sent on by a program"
    FORK = "rung as well"
    MEMBER = "member of a group"

    @classmethod
    def of(cls, stage: Stage) -> Cause:
        """That of a rule which fires at this stage."""
        return _OF_STAGE[stage]


_OF_STAGE = {
    Stage.AT_ONCE: Cause.ALWAYS,
    Stage.AFTER: Cause.NO_ANSWER,
    Stage.NO_ANSWER: Cause.NO_ANSWER,
    Stage.BUSY: Cause.BUSY,
    Stage.NO_DEVICE: Cause.NO_DEVICE,
    Stage.FAILURE: Cause.FAILURE,
}
