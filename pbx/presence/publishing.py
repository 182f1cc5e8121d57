"""PUBLISH: an account tells its own presence. It keeps nothing itself; `publications` does.

RFC 3903 §6 (the steps of the compositor, in their order).
"""

from __future__ import annotations

import asyncio

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import Account, AccountRoute, Caller, Resolution, UnknownRoute
from pbx.presence import pidf
from pbx.presence.notifier import event_of, own
from pbx.presence.pidf import Presence
from pbx.presence.publications import Publications
from pbx.presence.xml import LONGEST, XmlRefused
from pbx.sipcore.message import Request
from pbx.sipcore.server_transaction import ServerTransaction

SHORTEST, LONGEST_LIFE, DEFAULT = 60, 7200, 3600
"""Limit: seconds of a publication; RFC 3903 §6 step 4 leaves them to us."""

_log = get_logger("pbx.presence")

_Refusal = tuple[int, tuple[tuple[str, str], ...]]


class Publisher:
    """Implements `pbx.policy.ports.Publishing`."""

    def __init__(self, metrics: Metrics, publications: Publications) -> None:
        self._metrics = metrics
        self._publications = publications
        self._storing: set[asyncio.Task[None]] = set()
        metrics.gauge("pbx.presence.publications", lambda: len(publications))

    async def close(self) -> None:
        """Answer what is being stored."""
        while self._storing:
            await asyncio.wait(self._storing)

    def publish(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """A PUBLISH from somebody who proved who he is."""
        request, route = transaction.request, resolution.route
        if isinstance(route, UnknownRoute):
            self._refuse(transaction, 404)
        elif event_of(request) != "presence":
            self._refuse(transaction, 489, (("Allow-Events", "presence"),))
        elif not isinstance(route, AccountRoute) or not own(caller, route.account):
            self._refuse(transaction, 403)
        else:
            self._put(transaction, route.account)

    def _put(self, transaction: ServerTransaction, account: Account) -> None:
        request = transaction.request
        seconds, etags = _lifetime(request), request.get_all("SIP-If-Match")
        refusal = self._refusal(request, account, etags, seconds)
        if refusal is not None:
            self._refuse(transaction, *refusal)
            return
        try:
            presence = pidf.read(request.body) if request.body else None
        except XmlRefused:
            self._refuse(transaction, 400, (("Warning", '399 tandem "not a presence document"'),))
            return
        self._answer(transaction, account, presence, seconds, etags[0] if etags else "")

    def _refusal(self, request: Request, account: Account, etags: list[str], seconds: int) -> _Refusal | None:
        if len(etags) > 1 or (not etags and not request.body):
            return 400, ()
        if etags and not self._publications.has(account.id, etags[0].strip()):
            return 412, ()
        if 0 < seconds < SHORTEST:
            return 423, (("Min-Expires", str(SHORTEST)),)
        if len(request.body) > LONGEST:
            return 413, ()
        kind = (request.get("Content-Type") or "").partition(";")[0].strip().lower()
        if request.body and (kind != pidf.CONTENT_TYPE or request.has("Content-Encoding")):
            return 415, (("Accept", pidf.CONTENT_TYPE),)
        return None

    def _answer(
        self, transaction: ServerTransaction, account: Account, presence: Presence | None, seconds: int, etag: str
    ) -> None:
        new = self._publications.put(account.id, presence, seconds, etag.strip())
        headers = (("SIP-ETag", new), ("Expires", str(seconds)))
        task = asyncio.get_running_loop().create_task(self._store_then_answer(transaction, account, headers))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def _store_then_answer(
        self, transaction: ServerTransaction, account: Account, headers: tuple[tuple[str, str], ...]
    ) -> None:
        """What was acknowledged outlives a crash."""
        try:
            await self._publications.store(account.id)
        except Failure as failure:
            _log.error("publication not stored", account=account.address, cause=str(failure))
            self._refuse(transaction, 503, (("Retry-After", "10"),))
            return
        self._metrics.count("pbx.presence.publishes")
        transaction.reply(200, headers=headers)

    def _refuse(self, transaction: ServerTransaction, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self._metrics.count(f"pbx.presence.publish.{status}")
        transaction.reply(status, headers=headers)


def _lifetime(request: Request) -> int:
    seconds = request.number("Expires")
    return DEFAULT if seconds is None else min(seconds, LONGEST_LIFE)
