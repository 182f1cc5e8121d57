"""A human receptionist: the telephones of `pbx`, or of a group, ring first, and the program takes what they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from base.clock import ManualClock
from directory.directory import Directory
from directory.firststart import RECEPTIONIST
from directory.model import Account, Address, Caller, CallRule, Route
from directory.rules.words import typed
from pbx.signal.answer import Answer
from pbx.signal.branch import BranchState, Program
from pbx.signal.signal import Signal
from tests.directory.fixtures import DOMAIN, demo_directory
from tests.pbx.signal.stage import Way

STRANGER = Caller("sip:+15551234@outside.example")


class Desk(Way):
    """A way whose addresses and rules are those of a real directory as the first start leaves it."""

    def __init__(self, directory: Directory) -> None:
        super().__init__()
        self.directory = directory
        self.clock = ManualClock()
        self.signal = Signal(self.clock, self)

    def account(self, name: str) -> Account:
        found = self.directory.find_account(DOMAIN, name)
        assert found is not None
        return found

    def resolve(self, target: str, account: Account | None) -> Route:
        if account is None:
            return self.directory.resolve(Address(target, DOMAIN), caller=STRANGER).route
        return self.directory.resolve_target(target, account).route

    def rules(self, account: Account) -> Sequence[CallRule]:
        return self.directory.call_rules(account.id)

    def has(self, name: str, *phones: str) -> None:
        self.phones[self.account(name).id] = list(phones)

    def call(self, number: str = "200") -> None:
        self.signal.begin(self.resolve(number, None))

    def says(self, index: int, status: int) -> None:
        self.signal.answer(self.started[index], Answer(status))

    @property
    def ringing(self) -> list[str]:
        """What rings: contacts and programs."""
        live = [branch.target for branch in self.started if branch.state is BranchState.RINGING]
        return [t.route.program if isinstance(t, Program) else getattr(t, "contact", "?") for t in live]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with demo_directory() as directory:
        yield Desk(directory)


@pytest.mark.parametrize("number", ["200", "pbx", "0"])
async def test_her_telephones_ring_first_and_the_program_after_fifteen_seconds(desk: Desk, number: str) -> None:
    desk.has("pbx", "sip:desk", "sip:headset")
    desk.call(number)
    assert desk.ringing == ["sip:desk", "sip:headset"]
    desk.clock.advance(RECEPTIONIST - 1)
    assert desk.ringing == ["sip:desk", "sip:headset"]
    desk.clock.advance(1)
    desk.says(0, 487)
    desk.says(1, 487)
    assert desk.ringing == ["pbx"]


async def test_she_answers_in_time(desk: Desk) -> None:
    desk.has("pbx", "sip:desk")
    desk.call()
    desk.says(0, 200)
    desk.clock.advance(60)
    assert desk.winner is desk.started[0]
    assert len(desk.started) == 1


async def test_the_program_at_once_when_no_telephone_is_there(desk: Desk) -> None:
    desk.call()
    assert desk.ringing == ["pbx"]


@pytest.mark.parametrize("status", [486, 603, 480, 500])
async def test_the_program_at_once_when_she_is_busy_or_her_telephone_refuses(desk: Desk, status: int) -> None:
    desk.has("pbx", "sip:desk")
    desk.call()
    desk.says(0, status)
    assert desk.ringing == ["pbx"]


async def test_the_program_at_once_when_she_does_not_want_to_be_disturbed(desk: Desk) -> None:
    desk.has("pbx", "sip:desk")
    await desk.directory.set_setting(desk.account("pbx").id, "DoNotDisturb", "YES")
    desk.call()
    assert desk.ringing == ["pbx"]
    assert len(desk.started) == 1


async def group(desk: Desk) -> None:
    """Alice and Bob answer for the company, beside whoever is registered as `pbx`."""
    await desk.directory.create_group(DOMAIN, "frontdesk", ["alice", "bob"])
    rule = typed("Reception", "at once", 5, (), ["Fork to frontdesk"])
    await desk.directory.set_rules([rule], account_id=desk.account("pbx").id)


async def test_a_group_rings_beside_her_and_the_program_comes_after_all(desk: Desk) -> None:
    await group(desk)
    desk.has("pbx", "sip:desk")
    desk.has("alice", "sip:alice")
    desk.has("bob", "sip:bob")
    desk.call()
    assert sorted(desk.ringing) == ["sip:alice", "sip:bob", "sip:desk"]
    desk.clock.advance(RECEPTIONIST)
    for index in range(3):
        desk.says(index, 487)
    assert desk.ringing == ["pbx"]


async def test_a_group_that_is_busy_or_away_leads_to_the_program_at_once(desk: Desk) -> None:
    await group(desk)
    desk.has("alice", "sip:alice")
    desk.call()
    assert desk.ringing == ["sip:alice"]
    desk.says(0, 486)
    assert desk.ringing == ["pbx"]
