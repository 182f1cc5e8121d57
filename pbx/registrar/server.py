"""The registrar's driver: carries a decision out, stores it, and answers. The rules are in `register.py`.

A new or changed binding is on the disk before its 200; a refresh that moves only the expiry is written within seconds
(decision 16).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from directory.model import Account, AccountRoute, UnknownRoute
from pbx.registrar import tables
from pbx.registrar.bindings import Binding, BindingKey, Bindings
from pbx.registrar.gruu import Gruus
from pbx.registrar.register import Decision, Limits, Registration, decide, same_registration
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import Uri
from pbx.workarounds.rows import Workarounds

WRITE_BEHIND = 3.0
# Limit: telephones of one account, whatever its setting says; a call to it rings them all.
MOST_CONTACTS = 50

_log = get_logger("pbx.registrar")


class Registrar:
    """Answers REGISTER for accounts already authenticated, and keeps the bindings over restarts."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        database: Database,
        bindings: Bindings,
        limits: Limits | None = None,
        contacts: Callable[[int], int] | None = None,
        workarounds: Workarounds | None = None,
        gruus: Gruus | None = None,
        service_route: Callable[[Flow], Uri] | None = None,
    ) -> None:
        """`contacts`: how many telephones an account may register, where that is its own setting. `service_route`:
        how a peer on that flow reaches us."""
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._database = database
        self.bindings = bindings
        self._limits = limits or Limits()
        self._contacts = contacts
        self._workarounds = workarounds or Workarounds()
        self._gruus = gruus
        self._service_route = service_route
        self._storing: set[asyncio.Task[None]] = set()
        self._accounts_storing: dict[int, int] = {}
        self._refreshed: dict[BindingKey, Binding] = {}
        self._gone: dict[BindingKey, Binding] = {}
        self._timer: Timer | None = None
        bindings.on_expired = self._expired
        metrics.gauge("pbx.registrar.bindings", lambda: len(bindings))

    async def start(self) -> None:
        """Make the table, and take up the bindings of the last run."""
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        self.bindings.load(await self._database.write(partial(tables.load, now=self._clock.wall())))

    async def close(self) -> None:
        """Answer what is being stored, write what was left for later."""
        self.bindings.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write_behind()
        while self._storing:
            await asyncio.wait(self._storing)

    def register(self, transaction: ServerTransaction, account: Account) -> None:
        """Carry out an authenticated REGISTER."""
        limits = self._limits_of(account)
        registration = Registration(
            transaction.request,
            transaction.flow,
            account.id,
            self._clock.wall(),
            limits,
            self.bindings.away(account.id),
            self.bindings.silent(account.id),
            self._workarounds.for_(transaction.request.get("User-Agent") or "", transaction.flow.remote[0]),
            lambda uri: self.one_phone(uri) is not None,
        )
        decision = decide(registration, self.bindings.known(account.id))
        self._metrics.count(f"pbx.registrar.{decision.status}")
        if decision.status != 200:
            self._answer(transaction, account, decision)
        elif decision.lasting or account.id in self._accounts_storing:
            self._spawn(self._store_then_answer(transaction, account, decision))
        else:
            self._apply(decision)
            self._remember(decision.put)
            self._answer(transaction, account, decision)
            self.bindings.welcome(decision.put)

    def one_phone(self, uri: Uri) -> AccountRoute | UnknownRoute | None:
        """Where a GRUU of ours leads."""
        return None if self._gruus is None else self._gruus.route(uri)

    def _limits_of(self, account: Account) -> Limits:
        if self._contacts is None:
            return self._limits
        return replace(self._limits, contacts=max(1, min(self._contacts(account.id), MOST_CONTACTS)))

    def unregister_all(self, account_id: int) -> None:
        """The account is gone, or has a new password: nobody rings for it any more who knows the old one."""
        self._forget(self.bindings.known(account_id))

    def flow_ended(self, flow: Flow) -> None:
        """A connection closed: what was registered over it cannot be reached until its phone comes back."""
        self.bindings.lose_flow(flow)

    def _apply(self, decision: Decision) -> None:
        for binding in decision.put:
            for former in self.bindings.known(binding.account_id):
                if former.flow != binding.flow and not former.path and same_registration(former, binding):
                    self.bindings.follow(former.flow, binding.flow)
        for binding in decision.drop:
            self.bindings.drop(binding.account_id, binding.key)
        for binding in decision.put:
            self.bindings.put(binding)

    async def _store_then_answer(self, transaction: ServerTransaction, account: Account, decision: Decision) -> None:
        before = self.bindings.known(account.id)
        self._apply(decision)
        self._accounts_storing[account.id] = self._accounts_storing.get(account.id, 0) + 1
        for binding in (*decision.put, *decision.drop):
            self._refreshed.pop((binding.account_id, binding.key), None)
            self._gone.pop((binding.account_id, binding.key), None)
        try:
            await self._database.write(partial(tables.save, put=decision.put, drop=decision.drop))
        except Failure as failure:
            _log.error("binding not stored", account=account.address, cause=str(failure))
            self._undo(decision, before)
            decision = Decision(503, headers=(("Retry-After", "10"),))
        finally:
            self._stored(account.id)
        self._answer(transaction, account, decision)
        if decision.status == 200:
            self.bindings.welcome(decision.put)
        if decision.fresh:
            self.bindings.announce(account.id)

    def _stored(self, account_id: int) -> None:
        left = self._accounts_storing.pop(account_id) - 1
        if left:
            self._accounts_storing[account_id] = left

    def _undo(self, decision: Decision, before: Sequence[Binding]) -> None:
        for binding in decision.put:
            if self.bindings.find(binding.account_id, binding.key) is binding:
                self.bindings.drop(binding.account_id, binding.key)
        for binding in before:
            if self.bindings.find(binding.account_id, binding.key) is None:
                self.bindings.put(binding)

    def _answer(self, transaction: ServerTransaction, account: Account, decision: Decision) -> None:
        request = transaction.request
        response = response_to(
            request, decision.status, decision.reason, to_tag=self._entropy.token(6), headers=decision.headers
        )
        if decision.status == 200:
            self._list_contacts(response, account, gruus="gruu" in request.tokens("Supported"))
            self._tell_way(request, response, transaction.flow)
            self._log_change(account, decision, transaction.flow)
        transaction.respond(response)

    def _list_contacts(self, response: Response, account: Account, *, gruus: bool) -> None:
        """RFC 3261 §10.3 step 8: all of them, each as it was sent, with the seconds left; RFC 5627 §5.2."""
        now = self._clock.wall()
        for binding in self.bindings.contacts(account.id):
            own = self._gruus.parameters(account, binding) if gruus and self._gruus is not None else ""
            response.add("Contact", f"{binding.header};expires={max(1, round(binding.expires_at - now))}{own}")

    def _tell_way(self, request: Request, response: Response, flow: Flow) -> None:
        """To who came through other servers: the way that calls to him go (RFC 3327 §5.3), and that his requests come
        to us (RFC 3608 §6.3). Who sends to us directly has no use for a Service-Route."""
        paths = request.get_all("Path")
        if "path" in request.tokens("Supported"):
            for path in paths:
                response.add("Path", path)
        if paths and self._service_route is not None:
            uri = self._service_route(flow)
            response.add("Service-Route", f"<{uri.replace(params={**uri.params, 'lr': None})}>")

    def _log_change(self, account: Account, decision: Decision, flow: Flow) -> None:
        if decision.fresh or decision.drop:
            _log.info(
                "registered" if decision.put else "unregistered",
                account=account.address,
                contacts=len(self.bindings.contacts(account.id)),
                source=f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}",
                agent=decision.put[0].user_agent if decision.put else "",
            )

    def _remember(self, refreshed: Sequence[Binding]) -> None:
        for binding in refreshed:
            self._refreshed[binding.account_id, binding.key] = binding
        self._plan_write()

    def _expired(self, over: Sequence[Binding]) -> None:
        for binding in over:
            _log.info("registration expired", account=binding.account_id, contact=binding.contact)
        self._metrics.count("pbx.registrar.expired", len(over))
        self._later_gone(over)

    def _forget(self, bindings: Sequence[Binding]) -> None:
        for binding in bindings:
            self.bindings.drop(binding.account_id, binding.key)
        self._later_gone(bindings)

    def _later_gone(self, bindings: Sequence[Binding]) -> None:
        for binding in bindings:
            self._refreshed.pop((binding.account_id, binding.key), None)
            self._gone[binding.account_id, binding.key] = binding
        if bindings:
            self._plan_write()

    def _plan_write(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(WRITE_BEHIND, self._write_behind)

    def _write_behind(self) -> None:
        self._timer = None
        put, drop = tuple(self._refreshed.values()), tuple(self._gone.values())
        if put or drop:
            self._refreshed, self._gone = {}, {}
            self._spawn(self._write_later(put, drop))

    async def _write_later(self, put: Sequence[Binding], drop: Sequence[Binding]) -> None:
        try:
            await self._database.write(partial(tables.save, put=tuple(put), drop=tuple(drop)))
        except Failure as failure:
            _log.error("refreshed bindings not stored", count=len(put) + len(drop), cause=str(failure))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)


def by_account(bindings: Bindings) -> Iterator[tuple[int, Sequence[Binding]]]:
    """The listing of `tandem registrations`."""
    accounts = dict.fromkeys(binding.account_id for binding in bindings.all())
    return ((account_id, bindings.contacts(account_id)) for account_id in accounts)
