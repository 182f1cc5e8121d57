"""Placing a call from a simulated telephone: INVITE with its proofs, CANCEL, the answers, and what follows.

RFC 3261 §9.1, §13.2, §22; RFC 3891 (attended transfer).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from pbx.sipcore.message import Request, Response
from pbx.sipcore.reliable import EXTENSION
from pbx.sipcore.transactions import Cause, ClientTransaction
from tests.simulation.early import KNOWN, EarlyDialogs
from tests.simulation.leg import Leg

if TYPE_CHECKING:
    from tests.simulation.phones import SimPhone

PROOFS = 3
"""How often a challenge is answered: nonces may have gone with a server that crashed."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """`at` seconds after the answer the caller sends the other one to `target`, having asked there first or not."""

    at: float
    target: str
    attended: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a caller means to do: `cancel` seconds after the INVITE, or `talk` seconds after the answer; None: never.
    `keys` are pressed at those seconds after the answer; `holds` are when he sends a re-INVITE: hold, resume, hold …"""

    dialled: str
    cancel: float | None = None
    talk: float | None = 5.0
    keys: tuple[tuple[float, str], ...] = ()
    late_offer: bool = False
    holds: tuple[float, ...] = ()
    video: bool = False
    transfer: Transfer | None = None
    lasting: bool = False
    """A talk of hours, that only the caller ends."""


class Placed(Leg):
    """A call from the caller's side. `status` is the final answer: 0 until there is one, -1 when none came."""

    def __init__(self, phone: SimPhone, plan: Plan) -> None:
        super().__init__(phone, phone.entropy.token(8))
        self.plan = plan
        self.status = 0
        self.rung_at: float | None = None
        """When it was told that it rings."""
        self.retry_after = 0.0
        """Seconds that a refusal names."""
        self.cancelled = False
        self.done = asyncio.Event()
        self.consulting: Placed | None = None
        self.consulted = False
        """It was placed to ask before a transfer."""
        self._invite: ClientTransaction | None = None
        self._early: EarlyDialogs | None = None
        self._acks: dict[str, bytes] = {}

    @property
    def answered(self) -> bool:
        return 200 <= self.status < 300

    @property
    def transferred(self) -> bool:
        """A REFER went out: from then on others talk."""
        return self.referred is not None or self.consulted

    def start(self, uri: str) -> None:
        request = self.phone.make("INVITE", uri, f"<{uri}>", self.call_id)
        if not self.plan.late_offer:
            request.set_body(self.offer(video=self.plan.video), "application/sdp")
        if self.phone.kind.reliable:
            request.add("Supported", EXTENSION)
            request.add("Allow", KNOWN)
        self._send(request, PROOFS)
        if self.plan.cancel is not None:
            self.later(self.plan.cancel, self._cancel)

    def _send(self, request: Request, proofs: int) -> None:
        def failed(cause: Cause) -> None:
            if self.status == 0:
                self.status = -1
                self.over()

        def answered(response: Response) -> None:
            self._answered(request, response, proofs)

        self._early = EarlyDialogs(request)
        self._invite = self.phone.ask(request, answered, failed)
        if self.cancelled:
            self._invite.cancel(None)

    def _cancel(self) -> None:
        if self.status == 0 and self._invite is not None:
            self.cancelled = True
            self._invite.cancel(None)

    def _answered(self, request: Request, response: Response, proofs: int) -> None:
        if response.status in (401, 407) and proofs and not self.cancelled:
            self._send(self.phone.proved(request, response), proofs - 1)
        elif response.is_success:
            self._established(request, response)
        elif response.is_provisional:
            if response.status > 100 and self.rung_at is None:
                self.rung_at = self.phone.clock.now()
            self._acknowledge_early(response)
        elif self.status == 0:
            self.status, self.retry_after = response.status, float(response.number("Retry-After") or 0)
            self.over()

    def _acknowledge_early(self, response: Response) -> None:
        prack = None if self._early is None else self._early.acknowledgement(response, lambda: self.answer_to(response))

        def answered(response: Response) -> None:
            if response.is_final and response.status not in (200, 408, 481, 487, 500, 503):
                self.phone.faults.append(f"PRACK got {response.status}")

        if prack is not None:
            self.phone.ask(prack, answered, lambda cause: None)

    def _established(self, request: Request, response: Response) -> None:
        if response.to_tag in self._acks:
            self.phone.send(self.phone.flow, self._acks[response.to_tag])
            return
        assert self._early is not None
        dialog = self._early.confirmed(response)
        if self.dialog is not None:
            # A further phone answered a call that a proxy forked: accept and hang up (RFC 3261 §13.2.2.4)
            self._acks[response.to_tag] = self.phone.send_ack(dialog, request.cseq.number)
            self.phone.bye(dialog)
            return
        self.dialog = dialog
        self.take(response.body)
        late = self.plan.late_offer and response.to_tag not in self._early.answered
        self._acks[response.to_tag] = self.send_ack(request.cseq.number, self.answer_to(response) if late else b"")
        if self.status == -1:  # we had given up, and hang up what was answered late
            self.phone.bye(dialog)
            return
        self.status = response.status
        self.talk()
        if self.cancelled:
            self.hang_up()
        else:
            self._carry_out(self.plan)

    def _carry_out(self, plan: Plan) -> None:
        for at, key in plan.keys:
            self.later(at, lambda key=key: self.phone.town.press(self, key))  # type: ignore[misc]
        for number, at in enumerate(plan.holds):
            direction = "sendrecv" if number % 2 else "sendonly"
            self.later(at, lambda direction=direction: self.reinvite(direction, plan.video))  # type: ignore[misc]
        if plan.transfer is not None:
            self.later(plan.transfer.at, lambda: self._transfer(plan.transfer))
        if plan.talk is not None:
            self.later(plan.talk, self.hang_up)

    # --- transfer

    def _transfer(self, transfer: Transfer | None) -> None:
        if transfer is None:
            return
        uri = self.phone.uri(transfer.target)
        if not transfer.attended:
            self.refer(uri)
            return
        self.reinvite("sendonly")
        self.consulting = self.phone.call(Plan(transfer.target, talk=30.0))
        self.consulting.consulted = True
        self._when_consulted(uri)

    def _when_consulted(self, uri: str) -> None:
        other = self.consulting
        if other is None or other.ended:
            return
        if other.dialog is None or other.answered_at is None:
            self.later(1.0, lambda: self._when_consulted(uri))
            return
        dialog = other.dialog
        replaces = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
        self.refer(f"{uri}?Replaces={quote(replaces, safe='')}")

    # --- the end

    def give_up(self) -> None:
        if self.dialog is None:
            self._cancel()
        else:
            self.hang_up()

    def over(self) -> None:
        super().over()
        self.done.set()

    def stray(self, response: Response) -> None:
        """A 2xx that comes again after the transaction has gone."""
        if response.to_tag in self._acks:
            self.phone.send(self.phone.flow, self._acks[response.to_tag])
