"""A proxied call from its answer to its BYE: which of several answers its caller keeps, and when it is over.

The dialog is the parties' own; what is known of it is what passes. RFC 3261 §13.2.2.4: a caller who gets several
answers acknowledges each of them and ends all but one, and the first that reached us need not be the first that
reached him.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pbx.b2bua.silence import SilenceWatch

if TYPE_CHECKING:
    from pbx.b2bua.call import Call
    from pbx.b2bua.proxy_branch import ProxyBranch

LONGEST = 12 * 3600.0
"""Limit: seconds after which an answered proxied call counts as over, when no BYE came by."""
_CHOOSING = 32.0
"""Limit: seconds in which a caller ends all but one of several answers: so long they are repeated (64*T1)."""
_PATIENCE = 5
"""Limit: so many times the silence after which a bridged call ends, when its media pass through us. The dialog is the
parties' own, so that there is no hurry; a call without end would keep its ports."""


class ProxiedTalk:
    """`runners` are all that were asked, `first` is the one whose answer came first."""

    def __init__(self, call: Call, runners: Sequence[ProxyBranch], first: ProxyBranch) -> None:
        self.call = call
        self._runners = runners
        self._tag = next(iter(first.answers), "")
        self._acknowledged: dict[str, None] = {}
        self._ended: set[str] = set()
        exchange, self._call_id = call.exchange, call.record.call_id
        self._choice = exchange.clock.now() + _CHOOSING
        self._limit = exchange.clock.call_later(LONGEST, lambda: self._over("", "no BYE seen"))
        self._watch = SilenceWatch(
            exchange.clock, _PATIENCE * exchange.settings.silence, self._heard, lambda: self._over("", "no RTP")
        )

    def start(self) -> None:
        """Until the BYE of the dialog that the caller keeps."""
        call = self.call
        call.exchange.proxied[self._call_id] = self
        call.hang_up_all = lambda _status: self._over("server", "shutdown")
        self._watch.start()
        if call.byes_seen:
            self.bye_passed(call.byes_seen)

    def ack_passed(self, tags: frozenset[str]) -> None:
        """The caller has an answer: the first that he acknowledges is the one that he keeps."""
        for runner in self._runners:
            for tag in tags & runner.answers.keys():
                self._acknowledged.setdefault(tag)
        self._keep()

    def bye_passed(self, tags: frozenset[str]) -> None:
        """A dialog with these tags is over; those of phones that answered too late are no end of the call."""
        self._ended |= tags
        self._keep()
        self._end_unless_kept()
        if not self.call.ended:
            for runner in self._runners:
                if not runner.answers.keys().isdisjoint(tags) and self._ended >= runner.answers.keys():
                    runner.drop_anchor()

    def _keep(self) -> None:
        kept = next((tag for tag in self._acknowledged if tag not in self._ended), self._tag)
        if kept != self._tag:
            self._tag = kept
            next(runner for runner in self._runners if kept in runner.answers).keep()

    def _end_unless_kept(self) -> None:
        """Over, unless the caller may still take another answer that has been passed on (RFC 3261 §16.7 step 5)."""
        if self._tag not in self._ended or self.call.ended:
            return
        left = self._choice - self.call.exchange.clock.now()
        others = any(runner.answers.keys() - self._ended for runner in self._runners)
        if left > 0 and others:
            self._limit.cancel()
            self._limit = self.call.exchange.clock.call_later(left, self._end_unless_kept)
        else:
            self._over("", "BYE")

    def _heard(self) -> tuple[int, ...] | None:
        anchors = self.call.exchange.anchors
        return None if anchors is None or self._tag in self._ended else anchors.heard(self._call_id, self._tag)

    def _over(self, by: str, cause: str) -> None:
        exchange = self.call.exchange
        exchange.proxied.pop(self._call_id, None)
        if exchange.anchors is not None:
            exchange.spawn(exchange.anchors.release(self._call_id), f"release anchors of {self._call_id}")
        self._limit.cancel()
        self._watch.stop()
        self.call.end(by, cause)
