"""The toll guard with a set clock: limits, destinations, hours, and the lock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.clock import ManualClock
from base.failures import Failure
from base.metrics import Metrics
from base.values.kinds import Value
from directory.model import Account, Address
from directory.settings import SETTINGS, checked, default
from pbx.toll.destinations import fits, plain
from pbx.toll.guard import Ticket, TollGuard

ALICE = Account(1, "tandem.test", "alice")
BOB = Account(2, "tandem.test", "bob")
SOURCE = ("192.0.2.7", 5060)
MONDAY_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()


class Wall(ManualClock):
    def wall(self) -> float:
        return MONDAY_NOON + self.now()


class People:
    def __init__(self) -> None:
        self.settings: dict[str, Value] = {}
        self.gone = False

    def setting(self, account_id: int, key: str) -> Value:
        if self.gone:
            raise Failure("not-found", "gone")
        return self.settings.get(key, default(key))

    def set(self, **values: str) -> None:
        self.settings.update({key: checked(key, value) for key, value in values.items()})


class Town:
    """A guard, its clock, and who hears the alarm."""

    def __init__(self, **settings: str) -> None:
        self.clock, self.people, self.metrics = Wall(), People(), Metrics()
        self.people.set(**settings)
        self.alarms: list[tuple[Account, str, str]] = []
        self.guard = TollGuard(self.clock, self.metrics, self.people, self)

    def locked(self, account: Account, reason: str, target: str) -> None:
        self.alarms.append((account, reason, target))

    def call(self, number: str = "4930123", account: Account = ALICE, dialled: str = "") -> str:
        ways = [Address(number, "gw.example"), *([Address(dialled, "tandem.test")] if dialled else [])]
        return self.guard.refuses(account, ways, SOURCE)


def test_calls_at_once() -> None:
    town = Town(CallOutLimit="2")
    tickets: list[Ticket] = []
    for _ in range(2):
        assert town.call() == ""
        tickets.append(town.guard.ticket(ALICE))
    assert town.call() == "parallel"
    assert town.call(account=BOB) == ""
    assert town.guard.refuses(ALICE, [Address("1", "gw.example")], SOURCE, another=False) == ""  # a fork of a call
    tickets[0].close()
    tickets[0].close()
    assert town.call() == ""
    tickets[0] = town.guard.ticket(ALICE)
    assert town.call() == "parallel"


def test_another_way_of_one_call_is_no_other_call() -> None:
    town = Town(CallOutFlow="1,1m", CallOutDenied="*@dear.example")
    assert town.call() == ""
    ways = [Address("4930123", "other.example")]
    assert town.guard.refuses(ALICE, ways, SOURCE, another=False, instead=True) == ""
    ways = [Address("4930123", "dear.example")]
    assert town.guard.refuses(ALICE, ways, SOURCE, another=False, instead=True) == "denied"
    assert town.call() == "pace"


def test_calls_a_minute_and_an_hour() -> None:
    town = Town(CallOutFlow="3,1m; 5,1h")
    assert [town.call() for _ in range(4)] == ["", "", "", "pace"]
    town.clock.advance(61)
    assert [town.call() for _ in range(2)] == ["", "pace"], "the hour holds five tries, a refused one is one"
    assert town.call(account=BOB) == ""
    town.clock.advance(3600)
    assert town.call() == ""


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("4930123", ""),
        ("+4930123", ""),
        ("4990012", "denied"),
        ("+4990012", "denied"),
        ("+49-900-12", "denied"),
        ("%2B4990012", "denied"),
        ("+49(900)12;phone-context=x", "denied"),
        ("0049900", "denied"),
        ("+88112345", "not-allowed"),
        ("alice", "not-allowed"),
    ],
)
def test_destinations(number: str, reason: str) -> None:
    town = Town(CallOutAllowed="+49*,49*,00*", CallOutDenied="+49900*,49900*,0049900*")
    assert town.call(number) == reason


def test_what_was_dialled_counts_beside_what_the_router_made_of_it() -> None:
    town = Town(CallOutAllowed="+49*", CallOutDenied="900*")
    assert town.call("+49900123", dialled="900123") == "denied"
    assert town.call("0049301", dialled="+49301") == ""
    assert town.call("x", dialled="y") == "not-allowed"


@given(st.text(alphabet="0123456789", min_size=1, max_size=12), st.text(alphabet="-.() ", max_size=4), st.data())
def test_separators_lead_round_no_pattern(number: str, marks: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(number)))
    assert plain(number[:at] + marks + number[at:]) == number
    assert fits(Address(number[:at] + marks + number[at:], "gw.example"), [f"{number}*"])


def test_patterns_may_name_domains() -> None:
    assert fits(Address("x", "Partner.example"), ["*@partner.example"])
    assert not fits(Address("x", "partner.example.evil"), ["*@partner.example"])
    assert not fits(Address("49+", "gw.example"), ["+49*"])


def test_hours_by_the_clock_of_the_account() -> None:
    town = Town(CallOutHours="08:00-18:00", TimeZone="UTC")
    assert town.call() == ""
    town.people.set(TimeZone="Asia/Tokyo")  # 21 o'clock there
    assert town.call() == "hours"
    town.people.set(CallOutHours="work hours", TimeZone="UTC")
    assert town.call() == ""
    town.clock.advance(5 * 86_400)  # Saturday
    assert town.call() == "hours"


def test_suspicion_locks_the_account_once() -> None:
    town = Town(CallOutDenied="900*", CallOutLockAfter="3,10m")
    for number in range(3):
        assert town.call(f"900{number}") == "denied"
    assert town.alarms == []
    assert town.call() == "", "three mistakes lock nothing"
    assert town.call("9004") == "denied"
    assert town.alarms == [(ALICE, "denied", "9004@gw.example")]
    assert [town.call(), town.call("9005")] == ["locked", "locked"]
    assert town.call(account=BOB) == ""
    town.people.set(CallOutLocked="YES")  # the directory has it now
    town.guard.forget(ALICE.id)
    assert town.call() == "locked"
    assert len(town.alarms) == 1
    town.people.set(CallOutLocked="NO")
    town.guard.forget(ALICE.id)
    assert town.call() == ""
    assert town.call("9006") == "denied"
    assert len(town.alarms) == 1, "an unlocked account begins anew"
    assert town.metrics.value("calls.toll.locks") == 1


def test_suspicion_fades() -> None:
    town = Town(CallOutDenied="900*", CallOutLockAfter="3,10m")
    for _ in range(20):
        assert town.call("9001") == "denied"
        town.clock.advance(200.1)
    assert town.alarms == []


def test_an_account_that_is_gone_calls_nobody() -> None:
    town = Town()
    town.people.gone = True
    assert town.call() == "gone"
    assert town.guard.longest(ALICE) == 0.0


@pytest.mark.parametrize(
    ("key", "value"),
    [("CallOutFlow", "often"), ("CallOutLockAfter", "3"), ("CallOutHours", "25:00-26:00"), ("CallOutLimit", "-1")],
)
def test_settings_that_make_no_sense_are_refused(key: str, value: str) -> None:
    with pytest.raises(Failure):
        checked(key, value)


def test_the_defaults_are_read() -> None:
    assert {key for key in SETTINGS if key.startswith("CallOut")} == {
        "CallOutLimit", "CallOutFlow", "CallOutAllowed", "CallOutDenied", "CallOutHours", "CallOutLongest",
        "CallOutLockAfter", "CallOutLocked",
    }  # fmt: skip
    assert Town().call() == ""
    assert Town().guard.longest(ALICE) == 43_200
