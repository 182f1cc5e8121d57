"""Being called at a simulated telephone: it rings, and after a while answers in its own manner. RFC 3261 §13.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pbx.sipcore.dialog import Dialog
from pbx.sipcore.message import Request
from pbx.sipcore.transactions import ServerTransaction
from tests.simulation.early import EarlyAnswer, wanted
from tests.simulation.leg import Leg

if TYPE_CHECKING:
    from tests.simulation.phones import SimPhone


PATIENCE = 240.0
"""Seconds that a telephone rings at most when nobody is there; the server gives up before."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What a called phone does: after `ring` seconds it answers with `status` (0: it rings for ever), and after an
    answer it hangs up after `talk` seconds (None: never). `trying`: how long until the 180; None: none at all."""

    status: int = 200
    ring: float = 2.0
    trying: float | None = 0.05
    talk: float | None = None
    contact: str = ""
    hold: float | None = None


class Taken(Leg):
    """A call from the called side."""

    def __init__(self, phone: SimPhone, manner: Manner, transaction: ServerTransaction) -> None:
        super().__init__(phone, transaction.request.call_id)
        self.manner = manner
        self.final = 0
        self.early: EarlyAnswer | None = None
        self._transaction = transaction

    @property
    def request(self) -> Request:
        return self._transaction.request

    def ring(self) -> None:
        manner, transaction = self.manner, self._transaction
        transaction.on_cancel = lambda cancel: self._refuse(487)
        if manner.trying is not None:
            self.later(manner.trying, self._tell_ringing)
        if manner.status:
            self.later(manner.ring, lambda: self._decide(manner.status))
        else:
            self.later(PATIENCE, lambda: self._decide(480))

    def _tell_ringing(self) -> None:
        phone, transaction = self.phone, self._transaction
        if self.final:
            return
        if phone.kind.reliable and wanted(self.request):
            body = self.answer_to(self.request)
            self.early = EarlyAnswer(phone.clock, transaction, phone.contact, body, lambda: self._refuse(504))
        else:
            transaction.reply(180)

    def _refuse(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        if not self.final:
            self.final = status
            if self.early is not None:
                self.early.finish()
            self._transaction.reply(status, headers=headers)
            self.over()

    def _decide(self, status: int) -> None:
        if self.final:
            return
        if status != 200:
            self._refuse(status, (("Contact", self.manner.contact),) if status // 100 == 3 else ())
        elif self.early is not None:
            self.early.when_heard(self._accept)
        else:
            self._accept()

    def _accept(self) -> None:
        if self.final:
            return
        manner, transaction = self.manner, self._transaction
        self.final = 200
        self.take(self.request.body)
        if self.early is None:
            self.dialog = Dialog.uas(self.request, transaction.local_tag, self.phone.contact)
            body = self.answer_to(self.request)
        else:  # RFC 3262 §5: all is said already
            self.dialog, body = self.early.dialog, b""
            self.early.finish()
        self.dialog.confirm()
        self.talk()
        self.succeed(transaction, body, self.hang_up)
        if manner.hold is not None:
            self.later(manner.hold, lambda: self.reinvite("sendonly"))
        self.later(self.phone.town.patience if manner.talk is None else manner.talk, self.hang_up)
