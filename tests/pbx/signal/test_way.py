"""The one choice between proxy and B2BUA (decision 3)."""

from __future__ import annotations

import pytest

from directory.model import (
    Account,
    AccountRoute,
    Address,
    Caller,
    ForeignRoute,
    GroupRoute,
    ProgramRoute,
    Route,
    UnknownRoute,
)
from pbx.signal.way import WayKind, choose

BOB = Account(2, "example.org", "bob")
STRANGER = Caller("sip:x@elsewhere.net")
ALICE = Caller("sip:alice@example.org", account=Account(1, "example.org", "alice"))
AWAY = ForeignRoute(Address("x", "elsewhere.net"))
HELP = ForeignRoute(Address("112", "gateway.net"), emergency=True)


@pytest.mark.parametrize(
    ("method", "caller", "route", "features", "kind"),
    [
        ("INVITE", ALICE, AccountRoute(BOB), True, WayKind.B2BUA),
        ("INVITE", ALICE, AccountRoute(BOB), False, WayKind.PROXY),
        ("INVITE", STRANGER, ProgramRoute("pbx", (), BOB), False, WayKind.B2BUA),
        ("INVITE", ALICE, GroupRoute("sales", ()), False, WayKind.B2BUA),
        ("INVITE", ALICE, UnknownRoute(Address("y", "example.org")), False, WayKind.B2BUA),
        ("INVITE", ALICE, AWAY, True, WayKind.B2BUA),
        ("INVITE", ALICE, AWAY, False, WayKind.PROXY),
        ("INVITE", STRANGER, AWAY, True, WayKind.PROXY),
        ("INVITE", STRANGER, HELP, False, WayKind.B2BUA),
        ("MESSAGE", ALICE, AccountRoute(BOB), True, WayKind.PROXY),
    ],
)
def test_each_row_of_the_table(method: str, caller: Caller, route: Route, features: bool, kind: WayKind) -> None:
    way = choose(method, caller, route, features)
    assert way.kind is kind
    assert way.reason


@pytest.mark.parametrize("route", [AccountRoute(BOB), AWAY])
def test_a_browser_and_a_telephone_understand_each_other_only_through_us(route: Route) -> None:
    assert choose("INVITE", ALICE, route, False, unlike=True).kind is WayKind.B2BUA


@pytest.mark.parametrize("features", [True, False])
def test_a_trunk_has_a_login_that_a_proxied_invite_could_not_use(features: bool) -> None:
    assert choose("INVITE", STRANGER, AWAY, features, trunk=True).kind is WayKind.B2BUA
    assert choose("INVITE", ALICE, AWAY, features, trunk=True).kind is WayKind.B2BUA


def test_a_call_out_that_must_be_cut_goes_through_us() -> None:
    assert choose("INVITE", ALICE, AWAY, False, limited=True).kind is WayKind.B2BUA
    assert choose("INVITE", ALICE, AccountRoute(BOB), False, limited=True).kind is WayKind.PROXY
