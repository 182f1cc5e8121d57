"""Export, plan and apply: the running server and a tree of files.

A tree is read, then each change is rehearsed on a copy of the tables; only when all of them hold are they done, in one
transaction. Prompts and programs are converted and compiled before, and stored right after it: who kills the server in
between applies the tree again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from admin.configuration import tree
from admin.configuration.effects import effects
from admin.configuration.present import present
from admin.configuration.reading import MOST_FAULTS, read
from admin.configuration.rooms import Rooms, RoomsRehearsal
from admin.configuration.state import Secrets, State
from admin.configuration.steps import Passwords, Step, steps
from admin.ports import EnvironmentStore, FilePlace, Mailboxes
from base.clock import Clock
from base.failures import Failure
from base.storage.database import Database
from directory.network import NETWORK
from directory.settings import SETTINGS, known

_BREATH = 20
"""Steps that are rehearsed before others have their turn on the loop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tree would change, in sentences. `removes`: accounts that end, with their mail. `passwords`: those that
    were made for new accounts; only after it was applied."""

    steps: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    removes: list[str] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Prepared:
    rehearsal: RoomsRehearsal
    plan: Plan
    passwords: Passwords
    files: Mapping[FilePlace, bytes | None]
    """What is to be kept, or dropped."""


class Configuration:
    """Over the rooms of one server. `make_password` gives passwords for accounts that come without one."""

    def __init__(
        self,
        rooms: Rooms,
        database: Database,
        files: EnvironmentStore,
        mailboxes: Mailboxes,
        clock: Clock,
        make_password: Callable[[], str],
    ) -> None:
        self._rooms = rooms
        self._database = database
        self._files = files
        self._mailboxes = mailboxes
        self._clock = clock
        self._make_password = make_password
        self._busy = asyncio.Lock()

    async def export(self, *, secrets: bool = False) -> dict[str, bytes]:
        """Path to content. `secrets`: with passwords and PINs in clear."""
        state = await self._present(secrets=secrets)
        return await asyncio.to_thread(tree.write, state)  # thousands of files take seconds: calls go on meanwhile

    async def plan(self, files: tree.Files) -> Plan:
        """Nothing is changed. Raises Failure("invalid") with all faults of the tree, a line each."""
        async with self._busy:
            prepared = await self._prepare(files)
            prepared.rehearsal.discard()
            return prepared.plan

    async def apply(self, files: tree.Files, *, removing: bool) -> Plan:
        """All of it or nothing. `removing`: accounts may end, which takes their mail.

        Raises Failure("invalid") with all faults, "denied" when accounts would end unasked, "busy" when somebody else
        was changing something.
        """
        async with self._busy:
            prepared = await self._prepare(files)
            try:
                if prepared.plan.removes and not removing:
                    names = ", ".join(prepared.plan.removes[:10])
                    raise Failure("denied", f"this removes accounts and their mail: {names}")
                gone = [self._account_id(address) for address in prepared.plan.removes]
                await prepared.rehearsal.perform(self._database)
            finally:
                prepared.rehearsal.discard()
            for account_id in gone:
                await self._mailboxes.remove_mail(account_id)
            await self._store(prepared.files)
            prepared.plan.passwords.update(prepared.passwords.made)
            return prepared.plan

    async def _present(self, *, secrets: bool) -> State:
        state = present(self._rooms, secrets=secrets)
        state.files = await self._files.own()
        return state

    async def _prepare(self, files: tree.Files) -> _Prepared:
        wanted = await asyncio.to_thread(read, files)
        before = await self._present(secrets=wanted.secrets != Secrets())
        faults: list[str] = []
        contents = await self._changed_files(before, wanted, faults)
        passwords = Passwords(wanted.secrets.passwords, self._make_password)
        rehearsal = await RoomsRehearsal.begin(self._rooms, self._database)
        try:
            todo = await asyncio.to_thread(lambda: [*steps(before, wanted, passwords)])
            plan = await _rehearse(rehearsal.rooms, todo, faults)
            if faults:
                raise Failure("invalid", "\n".join(faults[:MOST_FAULTS]))
            plan.steps.extend(
                f"{'remove' if content is None else 'install'} {tree.file_path(place)}"
                for place, content in contents.items()
            )
            plan.warnings.extend(_warnings(wanted, rehearsal.rooms))
            plan.effects.extend(await effects(self._rooms.directory, rehearsal.rooms.directory, self._clock.wall()))
        except BaseException:
            rehearsal.discard()
            raise
        return _Prepared(rehearsal, plan, passwords, contents)

    async def _changed_files(self, before: State, wanted: State, faults: list[str]) -> dict[FilePlace, bytes | None]:
        found: dict[FilePlace, bytes | None] = {place: None for place in before.files if place not in wanted.files}
        for place, content in wanted.files.items():
            if before.files.get(place) == content:
                continue
            try:
                kept = await self._files.checked(place, content)
            except Failure as failure:
                faults.append(f"{tree.file_path(place)}: {failure.public}")
                continue
            if before.files.get(place) != kept:
                found[place] = kept
        return found

    async def _store(self, files: Mapping[FilePlace, bytes | None]) -> None:
        failed = []
        for place, content in files.items():
            try:
                await (self._files.drop(place) if content is None else self._files.keep(place, content))
            except Failure as failure:
                failed.append(f"{tree.file_path(place)}: {failure.public}")
        if failed:
            left = "\n".join(failed)
            raise Failure("full", f"the configuration is in use, but not these files; apply it again:\n{left}")

    def _account_id(self, address: str) -> int:
        local, _, domain = address.rpartition("@")
        account = self._rooms.directory.find_account(domain, local)
        if account is None:
            raise Failure("busy", "something was changed in the meantime: try again", temporary=True)
        return account.id


async def _rehearse(rooms: Rooms, todo: list[Step], faults: list[str]) -> Plan:
    for number, step in enumerate(todo):
        if number % _BREATH == 0:
            await asyncio.sleep(0)
        try:
            await step.do(rooms)
        except Failure as failure:
            faults.append(f"{step.path}: {step.words}: {failure.public}" if step.path else failure.public)
    return Plan([step.words for step in todo], removes=[step.removes for step in todo if step.removes])


def _warnings(wanted: State, rooms: Rooms) -> list[str]:
    _, router = rooms.directory.check_router(wanted.router)
    found = [f"{tree.ROUTER}:{warning.line}: {warning.text}" for warning in router]
    keys = {key for account in wanted.addresses().values() for key in account.settings}
    for key in sorted(keys - {*SETTINGS, *NETWORK}):
        try:
            known(key)
        except Failure as failure:
            found.append(f"{failure.public}; it is kept for programs")
    return found
