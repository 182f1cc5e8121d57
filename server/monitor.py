"""What is going on now, gathered from the rooms for `tandem calls`, `registrations` and `status`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from admin.ports import CallRow, Json, RegistrationRow
from base.clock import Clock
from base.metrics import Metrics
from directory.directory import Directory
from pbx.b2bua.switchboard import LiveCall
from pbx.records import flat
from pbx.records.book import CallBook
from pbx.records.record import CallRecord
from pbx.registrar.bindings import Bindings, Health


class LiveCalls(Protocol):
    """Calls in progress (`pbx.b2bua.switchboard`)."""

    def live(self) -> Sequence[LiveCall]: ...


class HouseMonitor:
    """Implements `admin.ports.Monitor`."""

    def __init__(
        self,
        version: str,
        clock: Clock,
        metrics: Metrics,
        directory: Directory,
        bindings: Bindings,
        live: LiveCalls,
        book: CallBook,
    ) -> None:
        self._version = version
        self._clock = clock
        self._begun = clock.now()
        self._metrics = metrics
        self._directory = directory
        self._bindings = bindings
        self._live = live
        self._book = book
        self.addresses: Sequence[str] = ()

    async def calls(self, limit: int, accounts: Collection[int] | None) -> Sequence[CallRow]:
        """Calls in progress, then the last ones that ended, newest first."""
        live = [call for call in self._live.live() if accounts is None or not call.accounts.isdisjoint(accounts)]
        going = [self._going(call) for call in live]
        ended = await self._book.recent(limit, accounts=accounts)
        return [*going, *(_ended(record) for record in ended)][: max(limit, len(going))]

    async def records(
        self, since: float, until: float, *, accounts: Collection[int] | None, after: int, limit: int
    ) -> tuple[Sequence[Mapping[str, Json]], str, int]:
        found, following = await self._book.between(since, until, accounts=accounts, after=after, limit=limit)
        return [flat.as_object(record) for record in found], flat.csv_lines(found), following

    async def log(self, account: int, limit: int) -> Sequence[Mapping[str, Json]]:
        return [
            {"at": _time(e.at), "kind": e.kind, "party": e.party or "anonymous", "name": e.name,
             "seconds": round(e.seconds), "note": e.note}
            for e in await self._book.log(account, limit)
        ]  # fmt: skip

    def registrations(self, accounts: Collection[int] | None) -> Sequence[RegistrationRow]:
        now = self._clock.wall()
        rows = []
        for binding in self._bindings.all():
            account = self._directory.account(binding.account_id)
            if account is not None and (accounts is None or account.id in accounts):
                source = f"{binding.flow.transport}:{binding.flow.remote[0]}:{binding.flow.remote[1]}"
                left = max(0, round(binding.expires_at - now))
                state, rtt = _health(self._bindings.health(binding))
                rows.append(
                    RegistrationRow(account.address, binding.contact, source, binding.user_agent, left, state, rtt)
                )
        return sorted(rows, key=lambda row: (row.account, row.contact))

    def status(self) -> Mapping[str, Json]:
        accounts = sum(len(self._directory.accounts(domain)) for domain in self._directory.domains())
        return {
            "version": self._version,
            "domain": self._directory.main_domain,
            "uptime": round(self._clock.now() - self._begun),
            "listening": list(self.addresses),
            "accounts": accounts,
            "calls": len(self._live.live()),
            **dict(sorted(self._metrics.snapshot().items())),
        }

    def _going(self, record: LiveCall) -> CallRow:
        since = record.answered
        seconds = 0 if since is None else round(self._clock.wall() - since)
        state = "ringing" if since is None else "connected"
        return CallRow(
            record.id, state, _time(record.started), record.caller, record.dialled, record.callee, record.program,
            "", 0, seconds, "", "",
        )  # fmt: skip


def _ended(record: CallRecord) -> CallRow:
    return CallRow(
        record.id, "ended", _time(record.started), record.caller, record.dialled, record.callee, record.program,
        record.outcome, record.status, round(record.duration), record.ended_by, record.codec, record.cause,
    )  # fmt: skip


def _health(health: Health | None) -> tuple[str, int]:
    if health is None:
        return "", 0
    return "reachable" if health.reachable else "unreachable", round(1000 * (health.rtt or 0.0))


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().isoformat(timespec="seconds")
