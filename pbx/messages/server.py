"""The messenger: takes MESSAGEs for our accounts, gives them to their phones, and keeps what no phone takes.

What waits is sent in the order of its coming when a phone registers, and deleted once a phone has accepted it. A crash
between a phone's 200 and our commit sends a message again, with the same Call-ID and CSeq.

RFC 3428 §6 (proxies), §7 (200 and 202).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from base.clock import Clock
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from directory.model import Account, AccountRoute, Address, Caller, GroupRoute, NullRoute, Resolution, UnknownRoute
from pbx.messages import tables
from pbx.messages.attempt import Attempt, Outcome, Requests
from pbx.messages.letter import LARGEST, Letter, letter, may_wait, opened, prepare
from pbx.registrar.bindings import Bindings
from pbx.sipcore.message import Request
from pbx.sipcore.server_transaction import ServerTransaction

PATIENCE = 4.0
"""Limit: seconds that a sender waits for a phone's answer before his message is stored and he gets 202."""
GROUP = 100
"""Limit: members of a group that get a message."""
UNDER_WAY = 2_000
"""Limit: messages that are being delivered at once."""

_log = get_logger("pbx.messages")


class People(Protocol):
    """What is needed of the directory."""

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...


class Messenger:
    """Implements `pbx.policy.ports.Messages`. `start` it, and `wake` it when requests can be sent."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        stack: Requests,
        people: People,
        bindings: Bindings,
        database: Database,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._stack = stack
        self._people = people
        self._bindings = bindings
        self._database = database
        self._waiting: set[int] = set()
        self._under_way: dict[int, tuple[Attempt, asyncio.Event]] = {}
        self._draining: dict[int, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        bindings.listen(self.registered)
        metrics.gauge("pbx.messages.accounts_waited_for", lambda: len(self._waiting))

    async def start(self) -> None:
        """Make the table, and learn for whom something waits."""
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        self._waiting = await self._database.write(partial(tables.accounts, now=self._clock.wall()))

    async def close(self) -> None:
        """Give up what is under way; what was accepted from its sender is in the database."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        """The doors are open: try for all phones that are registered already."""
        for account_id in sorted(self._waiting):
            self.registered(account_id)

    async def forget(self, account_id: int) -> None:
        """The account is gone."""
        self._waiting.discard(account_id)
        await self._database.write(partial(tables.remove_account, account_id=account_id))

    # --- a new message

    def message(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """A MESSAGE outside a dialog, from somebody who may send it."""
        self._metrics.count("pbx.messages.received")
        if len(transaction.request.body) > LARGEST:
            transaction.reply(413)
        elif len(self._tasks) >= UNDER_WAY:
            transaction.reply(503, headers=(("Retry-After", "10"),))
        else:
            self._deliver_to(transaction, caller, resolution)

    def _deliver_to(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        match resolution.route:
            case AccountRoute(account=account):
                self._spawn(self._one(transaction, account))
            case GroupRoute(members=members):
                self._spawn(self._group(transaction, self._accounts(members, caller)))
            case UnknownRoute():
                transaction.reply(404)
            case NullRoute():
                self._metrics.count("pbx.messages.discarded")
                transaction.reply(200)
            case _:
                transaction.reply(480)

    def _accounts(self, members: Sequence[Address], caller: Caller) -> list[Account]:
        """The local members of a group, the sender left out."""
        routes = [self._people.resolve(member, caller=caller, services=False).route for member in members[:GROUP]]
        sender = None if caller.account is None else caller.account.id
        return [route.account for route in routes if isinstance(route, AccountRoute) and route.account.id != sender]

    async def _one(self, transaction: ServerTransaction, account: Account) -> None:
        transaction.reply(*await self._deliver(transaction.request, account))

    async def _group(self, transaction: ServerTransaction, accounts: Sequence[Account]) -> None:
        """Each member gets it, now or later: 202."""
        results = await asyncio.gather(*(self._deliver(transaction.request, account) for account in accounts))
        taken = any(status < 300 for status, _ in results)
        transaction.reply(202 if taken else 480)

    async def _deliver(self, original: Request, account: Account) -> tuple[int, str]:
        """The answer for the sender: 200 when a phone has it, 202 when it is stored (RFC 3428 §7)."""
        now = self._clock.wall()
        request, storable = prepare(original, now), may_wait(original)
        if account.id in self._waiting and storable:
            answer = await self._keep(account, letter(request, now))  # behind those that wait already
            self.registered(account.id)
            return answer[0], answer[1]
        attempt, done = self._try(request, account.id)
        await self._wait(done, PATIENCE if storable else None)
        if attempt.outcome is Outcome.ACCEPTED:
            self._metrics.count("pbx.messages.delivered")
            return 200, ""
        if attempt.outcome is Outcome.REFUSED and attempt.declined:
            return attempt.declined, ""
        if not storable:
            return 480, ""
        return await self._keep_while_trying(account, letter(request, now), attempt, done)

    async def _wait(self, done: asyncio.Event, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            pass

    async def _keep_while_trying(
        self, account: Account, kept: Letter, attempt: Attempt, done: asyncio.Event
    ) -> tuple[int, str]:
        """Store it; a phone that accepts late has it all the same, and it is deleted again."""
        status, reason, number = await self._keep(account, kept)
        if number and attempt.outcome is not None:
            await self._settle(account.id, number, attempt)
        elif number:
            self._under_way[number] = attempt, done
            self._spawn(self._late(account.id, number, attempt, done))
        return status, reason

    async def _late(self, account_id: int, number: int, attempt: Attempt, done: asyncio.Event) -> None:
        try:
            await done.wait()
            await self._settle(account_id, number, attempt)
        finally:
            self._under_way.pop(number, None)

    async def _settle(self, account_id: int, number: int, attempt: Attempt) -> None:
        if attempt.outcome is Outcome.ACCEPTED:
            self._metrics.count("pbx.messages.delivered")
            await self._drop(number)

    async def _keep(self, account: Account, kept: Letter) -> tuple[int, str, int]:
        """(status, reason, id); the 202 stands for a commit."""
        try:
            number = await self._database.write(partial(tables.store, account_id=account.id, letter=kept))
        except Failure as failure:
            _log.warning("message not stored", account=account.address, cause=str(failure))
            return 480, failure.public, 0
        self._waiting.add(account.id)
        self._metrics.count("pbx.messages.stored")
        return 202, "", number

    async def _drop(self, number: int) -> None:
        try:
            await self._database.write(partial(tables.remove, letter_id=number))
        except Failure as failure:
            _log.error("delivered message not deleted", message=number, cause=str(failure))

    def _try(self, request: Request, account_id: int) -> tuple[Attempt, asyncio.Event]:
        done = asyncio.Event()
        attempt = Attempt(self._stack, request, lambda _attempt: done.set())
        attempt.start(self._bindings.contacts(account_id))
        return attempt, done

    # --- what waits

    def registered(self, account_id: int) -> None:
        """A phone is there (again): send what waits. One at a time for an account."""
        if account_id not in self._waiting:
            return
        if account_id in self._draining:
            self._draining[account_id] = True
        else:
            self._draining[account_id] = False
            self._spawn(self._drain(account_id))

    async def _drain(self, account_id: int) -> None:
        try:
            again = True
            while again:
                self._draining[account_id] = False
                await self._send_waiting(account_id)
                again = self._draining[account_id]
        except Failure as failure:
            _log.error("waiting messages not read", account=account_id, cause=str(failure))
        finally:
            del self._draining[account_id]

    async def _send_waiting(self, account_id: int) -> None:
        """In the order of their coming, until the phones fall silent. One that is refused waits for another phone."""
        left = 0
        for kept in await self._letters(account_id):
            outcome = await self._send(account_id, kept)
            if outcome is Outcome.SILENT:
                return
            left += outcome is Outcome.REFUSED
        if not left and not self._draining[account_id]:
            self._waiting.discard(account_id)
            if await self._letters(account_id):  # stored in this very moment
                self._waiting.add(account_id)
                self._draining[account_id] = True

    async def _letters(self, account_id: int) -> Sequence[Letter]:
        return await self._database.read(partial(tables.waiting, account_id=account_id, now=self._clock.wall()))

    async def _send(self, account_id: int, kept: Letter) -> Outcome:
        if kept.id in self._under_way:  # its first attempt is not over yet, and may succeed
            first, over = self._under_way[kept.id]
            await over.wait()
            if first.outcome is Outcome.ACCEPTED:
                return Outcome.ACCEPTED
        request = opened(kept)
        if request is None:
            await self._drop(kept.id)
            return Outcome.ACCEPTED
        attempt, done = self._try(request, account_id)
        await done.wait()
        if attempt.outcome is Outcome.ACCEPTED:
            self._metrics.count("pbx.messages.delivered")
            await self._drop(kept.id)
        return attempt.outcome or Outcome.SILENT

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._metrics.count("pbx.messages.faults")
            _log.error("message task failed", exc_info=error)
