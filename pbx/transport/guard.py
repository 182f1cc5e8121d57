"""A core whose faults harm one transaction only. What a request means is the core's business.

RFC 3261 §21.5.1: our own fault is a 500, which tells nothing of our insides.
"""

from __future__ import annotations

from base.log import get_logger
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transactions import CorePort, ServerTransaction

_log = get_logger("pbx.transport")


class GuardedCore:
    """A core whose faults end as a 500: an INVITE that nobody answers would stay for ever."""

    def __init__(self, core: CorePort, metrics: Metrics) -> None:
        self._core = core
        self._metrics = metrics

    def on_request(self, transaction: ServerTransaction) -> None:
        try:
            self._core.on_request(transaction)
        except Exception:
            self._metrics.count("pbx.transport.faults")
            _log.exception("request not handled", source=where(transaction.flow), call_id=transaction.request.call_id)
            if not transaction.is_answered:
                transaction.reply(500)

    def on_ack(self, request: Request, flow: Flow) -> None:
        self._core.on_ack(request, flow)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        self._core.on_stray_response(response, flow)


def where(flow: Flow) -> str:
    """A flow's far end, for the log."""
    return f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}"
