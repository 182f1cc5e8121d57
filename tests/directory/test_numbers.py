"""One numbering plan: demo accounts and stock numbers together, each with exactly one meaning (decision 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import names, plan
from directory.directory import Directory
from directory.model import AccountRoute, Address, Caller, ForeignRoute, GroupRoute, ProgramRoute, UnknownRoute
from directory.words import describe
from tests.directory.fixtures import DOMAIN, demo_directory

PLAN = {
    # dialled: (meaning for alice, meaning for a stranger)
    "alice": ("service#alice", "alice"),
    "201": ("service#alice", "alice"),
    "bob": ("bob", "bob"),
    "202": ("bob", "bob"),
    "BOB": ("bob", "bob"),
    "postmaster": ("postmaster", "postmaster"),
    "pbx": ("pbx", "pbx"),
    "200": ("pbx", "pbx"),
    "conference": ("pbx", "pbx"),
    "600": ("echo#pbx", "echo#pbx"),
    "echo": ("echo#pbx", "echo#pbx"),
    "0": ("pbx", "pbx"),
    "700": (f"park{{{DOMAIN},701-720}}#pbx",) * 2,
    "701": (f"park{{{DOMAIN},701}}#pbx",) * 2,
    "park+720": (f"park{{{DOMAIN},720}}#pbx",) * 2,
    "park+700": (None, None),
    "721": ("pbx{721}#pbx", "pbx{721}#pbx"),
    "799": ("pbx{799}#pbx", "pbx{799}#pbx"),
    "*43": ("echo#pbx", "echo#pbx"),
    "*72": ("service{72}#alice", None),
    "*72202": ("service{72,202}#alice", None),
    "*72*202#": ("service{72,202}#alice", None),
    "*90+15551234567": ("service{90,+15551234567}#alice", None),
    "*97": ("service{97}#alice", None),
    "*98": ("service{98}#alice", None),
    "*51": ("service{51}#alice", None),
    "*201": ("voicemail#alice", "voicemail#alice"),
    "*202": ("voicemail#bob", "voicemail#bob"),
    "*99202": ("voicemail#bob", "voicemail#bob"),
    "*203": (None, None),
    "*33": ("service{33}#alice", None),
    "*33202": (f"monitor{{33,bob@{DOMAIN}}}#alice", None),
    "*34*202#": (f"monitor{{34,bob@{DOMAIN}}}#alice", None),
    "*33203": (None, None),
    "**202": (f"pickup{{bob@{DOMAIN}}}#alice", None),
    "**203": (None, None),
    "*8": ("pickup#alice", None),
    "*9": (None, None),
    "203": (None, None),
    "70": (None, None),
    "7000": (None, None),
    "112": (None, None),
    "911": (None, None),
    "00": (None, None),
    "+15551234567": (None, None),
    "": (None, None),
}


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    async with demo_directory() as made:
        yield made


def alice_of(directory: Directory) -> Caller:
    return Caller(f"sip:alice@{DOMAIN}", account=directory.find_account(DOMAIN, "alice"))


@pytest.mark.parametrize("dialled", PLAN)
@pytest.mark.parametrize("host", [DOMAIN, "127.0.0.1"])
async def test_each_number_has_one_explained_meaning(directory: Directory, dialled: str, host: str) -> None:
    for caller, meaning in zip((alice_of(directory), Caller("")), PLAN[dialled], strict=True):
        resolution = directory.resolve(Address(dialled, host), caller=caller)
        kind, leads_to = describe(resolution.route)
        assert (kind, leads_to) == (
            ("unknown", f"{dialled}@{DOMAIN}")
            if meaning is None
            else ("program" if "#" in meaning else "account", f"{meaning}@{DOMAIN}")
        )
        assert resolution.steps


def test_no_two_rows_of_the_plan_fit_one_number() -> None:
    numbers = [str(n) for n in range(2000)] + [f"*{n}" for n in range(200)] + ["echo", "*98201"]
    for number in numbers:
        assert len(plan.matches(number)) <= 1, number
    # Where two overlap, who has the number decides: *99nnn is also *nnn of an extension 99nnn, and so is *72nnn.
    assert [match.digits for match in plan.matches("*99201")] == ["99201", "201"]
    assert [(match.digits, match.number) for match in plan.matches("*72201")] == [("72201", ""), ("72", "201")]


async def test_a_name_goes_before_a_service_but_not_before_an_emergency(directory: Directory) -> None:
    await directory.create_account(DOMAIN, "six", "x", extension="600")
    assert describe(directory.resolve(Address("600", DOMAIN), caller=Caller("")).route)[1] == f"six@{DOMAIN}"
    await directory.set_server_setting("EmergencyNumbers", ["600"])
    emergency = directory.resolve(Address("600", DOMAIN), caller=Caller(""))
    assert isinstance(emergency.route, UnknownRoute)
    assert "emergency" in emergency.steps[-1]


async def test_extension_99201_beats_the_code(directory: Directory) -> None:
    await directory.create_account(DOMAIN, "long", "x", extension="99201")
    assert (
        describe(directory.resolve(Address("*99201", DOMAIN), caller=Caller("")).route)[1] == f"voicemail#long@{DOMAIN}"
    )


async def test_escapes_and_services(directory: Directory) -> None:
    caller = alice_of(directory)
    assert (
        describe(directory.resolve(Address("%2A98", DOMAIN), caller=caller).route)[1] == f"service{{98}}#alice@{DOMAIN}"
    )
    own = directory.resolve(Address("201", DOMAIN), caller=caller, services=False).route
    assert isinstance(own, AccountRoute)
    assert not own.services
    assert directory.resolve(Address("a", "Far.Example"), caller=caller).route == ForeignRoute(
        Address("a", "Far.Example")
    )


async def test_only_this_server_names_programs(directory: Directory) -> None:
    for local in ("#voicemail", "voicemail#bob", "gatewaycaller{+15551234}#pbx", "echo%23pbx", "a{b}#"):
        for caller in (Caller(""), alice_of(directory)):
            assert isinstance(directory.resolve(Address(local, DOMAIN), caller=caller).route, UnknownRoute), local
    bob = directory.find_account(DOMAIN, "bob")
    assert bob is not None
    assert directory.resolve(Address("queue{a, b}#bob", DOMAIN), caller=None).route == ProgramRoute(
        "queue", ("a", "b"), bob
    )


async def test_targets_of_rules(directory: Directory) -> None:
    alice, bob = directory.find_account(DOMAIN, "alice"), directory.find_account(DOMAIN, "bob")
    assert alice is not None
    assert bob is not None
    stranger = Caller("sip:x@far.example")
    expected = {
        "#voicemail": ProgramRoute("voicemail", (), alice),
        "#VoiceMail{x}": ProgramRoute("voicemail", ("x",), alice),
        "acd{sales}#bob": ProgramRoute("acd", ("sales",), bob),
        "bob": AccountRoute(bob),
        " <sip:202@127.0.0.1:5060;transport=tcp> ": AccountRoute(bob),
        "x@far.example": ForeignRoute(Address("x", "far.example")),
        "": UnknownRoute(Address("", DOMAIN)),
        "acd#nobody": UnknownRoute(Address("acd#nobody", DOMAIN)),
    }
    for target, route in expected.items():
        assert directory.resolve_target(target, alice, caller=stranger).route == route, target


async def test_groups_forwarders_and_loops(directory: Directory) -> None:
    await directory.create_group(DOMAIN, "sales", ["alice", "202@localhost", "x@far.example"])
    await directory.create_forwarder(DOMAIN, "hop", "sales")
    await directory.create_forwarder(DOMAIN, "queue", "acd{sales}#pbx")
    await directory.create_forwarder(DOMAIN, "ping", "pong")
    await directory.create_forwarder(DOMAIN, "pong", "ping@localhost")
    caller = Caller("")
    assert directory.resolve(Address("hop", DOMAIN), caller=caller).route == GroupRoute(
        "sales", (Address("alice", DOMAIN), Address("202", "localhost"), Address("x", "far.example")), domain=DOMAIN
    )
    assert describe(directory.resolve(Address("queue", DOMAIN), caller=caller).route)[1] == f"acd{{sales}}#pbx@{DOMAIN}"
    loop = directory.resolve(Address("ping", DOMAIN), caller=caller)
    assert isinstance(loop.route, UnknownRoute)
    assert "loop" in loop.steps[-1]


async def test_the_operator(directory: Directory) -> None:
    async def zero() -> str:
        return describe(directory.resolve(Address("0", DOMAIN), caller=Caller("")).route)[1]

    assert await zero() == f"pbx@{DOMAIN}"
    bob = directory.find_account(DOMAIN, "bob")
    assert bob is not None
    await directory.add_alias(bob.id, "operator")
    assert await zero() == f"bob@{DOMAIN}"
    await directory.set_domain_setting(DOMAIN, "Operator", "alice")
    assert await zero() == f"alice@{DOMAIN}"
    await directory.set_domain_setting(DOMAIN, "Operator", f"0@{DOMAIN}")
    assert await zero() == f"0@{DOMAIN}"  # a loop, told as unknown


async def test_functions_want_the_centre(directory: Directory) -> None:
    pbx = directory.find_account(DOMAIN, "pbx")
    assert pbx is not None
    await directory.remove_account(pbx.id)
    gone = directory.resolve(Address("600", DOMAIN), caller=Caller(""))
    assert isinstance(gone.route, UnknownRoute)
    assert gone.steps[-1] == f"there is no account pbx in {DOMAIN}"


@given(st.text(max_size=80), st.text(max_size=30))
def test_no_text_breaks_the_parsers(local: str, host: str) -> None:
    names.program_address(local)
    names.parse_target(local, DOMAIN)
    names.plain_host(host)
    names.is_loopback(host)
    assert names.unescaped(local) is not None


async def test_no_address_breaks_the_resolver(directory: Directory) -> None:
    caller = alice_of(directory)
    for local in ("%", "%zz", "%ff", "\x00", "#", "{}#", "a{#", "*" * 1000, "9" * 5000, "é", "²", "*²²", "７００"):
        for who in (caller, None):
            assert directory.resolve(Address(local, DOMAIN), caller=who).steps


async def test_a_uri_without_services_leaves_out_the_rules_of_the_callee() -> None:
    async with demo_directory() as directory:
        alice, bob = (directory.find_account("tandem.test", name) for name in ("alice", "bob"))
        assert alice is not None
        assert bob is not None
        for target in ("sip:202@tandem.test;services=no", "<sip:bob@tandem.test;transport=tcp;Services=NO>"):
            assert directory.resolve_target(target, alice).route == AccountRoute(bob, services=False)
        assert directory.resolve_target("sip:202@tandem.test", alice).route == AccountRoute(bob)


async def test_a_groups_calls_are_those_of_its_members(directory: Directory) -> None:
    await directory.create_group(DOMAIN, "sales", ["201", "bob", "nobody", "x@elsewhere.example"])
    await directory.create_group(DOMAIN, "others", ["pbx"])
    found = {}
    for name in ("alice", "postmaster"):
        account = directory.find_account(DOMAIN, name)
        route = directory.resolve(Address("*8", DOMAIN), caller=Caller("sip:x@y", account=account)).route
        assert isinstance(route, ProgramRoute)
        found[name] = route.parameters
    assert found == {"alice": (f"alice@{DOMAIN}", f"bob@{DOMAIN}"), "postmaster": ()}


async def test_the_parking_lot_is_where_the_domain_has_it(directory: Directory) -> None:
    def leads(number: str) -> str:
        return describe(directory.resolve(Address(number, DOMAIN), caller=Caller("")).route)[1]

    await directory.set_domain_setting(DOMAIN, "ParkLot", "*5900")
    await directory.set_domain_setting(DOMAIN, "ParkSlots", "*5901-*5909")
    assert [leads(number) for number in ("*5900", "*5909", "park+*5901")] == [
        f"park{{{DOMAIN},{places}}}#pbx@{DOMAIN}" for places in ("*5901-*5909", "*5909", "*5901")
    ]
    assert leads("701") == f"pbx{{701}}#pbx@{DOMAIN}"
    await directory.set_domain_setting(DOMAIN, "ParkLot", "")
    assert leads("*5901") == f"*5901@{DOMAIN}"


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ("701-703", ("701", "702", "703")),
        ("08-10", ("08", "09", "10")),
        ("701", ("701",)),
        ("703-701", ()),
        ("1-1000", ()),
        ("1-101", ()),
        ("*1-2", ()),
        ("701-", ()),
        ("", ()),
    ],
)
def test_spans_of_places(span: str, found: tuple[str, ...]) -> None:
    assert plan.slots(span) == found
