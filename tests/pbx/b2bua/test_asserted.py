"""Who a callee is told that calls: asserted identity (RFC 3325) and privacy (RFC 3323), in both ways of a call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from directory.addresses import parse
from directory.model import Account, Caller
from directory.network import Network
from pbx.b2bua.asserted import ANONYMOUS, complete, from_value, headers_for, screen
from pbx.programs import ProgramLeg, RequestData
from pbx.sipcore.message import Request
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House

TRUNK = '"Ann" <sip:+4930123@carrier.test>'


def invite(*headers: tuple[str, str], from_: str = "<sip:alice@tandem.test>;tag=a") -> Request:
    request = Request("INVITE", "sip:bob@tandem.test")
    for name, value in (("From", from_), *headers):
        request.add(name, value)
    return request


def caller(account: Account | None = None, *, trusted: bool = False) -> Caller:
    return Caller("sip:alice@tandem.test", "Alice", account, trusted)


def test_what_a_stranger_asserts_is_not_believed() -> None:
    """RFC 3325 §5: an identity from outside the trust domain is not passed on."""
    stranger = complete(caller(), invite(("P-Asserted-Identity", TRUNK)))
    assert headers_for(stranger, trusted=True) == ()
    account = complete(caller(ALICE), invite(("P-Asserted-Identity", TRUNK)))
    assert headers_for(account, trusted=True) == (("P-Asserted-Identity", '"Alice" <sip:alice@tandem.test>'),)


def test_what_a_trusted_peer_asserts_goes_to_trusted_peers_only() -> None:
    """RFC 3325 §7."""
    peer = complete(caller(trusted=True), invite(("P-Asserted-Identity", TRUNK)))
    assert headers_for(peer, trusted=True) == (("P-Asserted-Identity", TRUNK),)
    assert headers_for(peer, trusted=False) == ()


@pytest.mark.parametrize("broken", ["", "<sip:", "no address at all <", "<sip:a@b" * 50])
def test_a_broken_identity_is_none(broken: str) -> None:
    assert complete(caller(trusted=True), invite(("P-Asserted-Identity", broken))).asserted == ""


@pytest.mark.parametrize(
    ("privacy", "private"),
    [("id", True), ("header;critical", True), ("USER", True), ("none", False), ("session", False)],
)
def test_wishes_for_privacy(privacy: str, private: bool) -> None:
    """RFC 3323 §4.2, RFC 3325 §9.3."""
    assert complete(caller(), invite(("Privacy", privacy))).private is private


def test_the_wish_goes_on_with_the_identity() -> None:
    """RFC 3325 §7: to a trusted peer the identity goes with Privacy: id, to others not at all; From tells nothing."""
    private = complete(caller(ALICE), invite(("Privacy", "id")))
    assert from_value(private) == ANONYMOUS
    said = '"Alice" <sip:alice@tandem.test>'
    assert headers_for(private, trusted=True) == (("P-Asserted-Identity", said), ("Privacy", "id"))
    assert headers_for(private, trusted=False) == ()


def test_a_proxied_request_is_screened() -> None:
    request = invite(("P-Asserted-Identity", TRUNK), ("P-Asserted-Identity", "<tel:+1>"), ("Privacy", "id"))
    private = complete(caller(ALICE), request)
    screen(request, private, trusted=False)
    assert not request.has("P-Asserted-Identity")
    assert request.get("Privacy") == "id"
    screen(request, private, trusted=True)
    assert request.get_all("P-Asserted-Identity") == ['"Alice" <sip:alice@tandem.test>']


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_private_caller_rings_as_anonymous(trusted: bool) -> None:
    """RFC 3323 §5.3: nor do other headers tell who it is."""
    async with House() as house:
        house.town.network = Network(trusted=parse("10.0.0.0/8" if trusted else "", "TrustedPeers"))
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Privacy="id", Subject="From Alice", P_Asserted_Identity=TRUNK)
        rung = await bob.request("INVITE")
        assert (rung.from_.display, str(rung.from_.uri)) == ("Anonymous", "sip:anonymous@anonymous.invalid")
        assert not rung.has("Subject")
        assert rung.has("P-Asserted-Identity") is trusted
        assert b"carrier" not in rung.encode()
        if not trusted:
            assert b"alice" not in rung.encode().lower()
        bob.answer(rung, 486)
        await alice.response(486)
        alice.send("ACK")


def test_an_account_may_prefer_one_of_its_own_names() -> None:
    """RFC 3325 §9.2: P-Preferred-Identity chooses among what is proved, and asserts nothing else."""
    wish = invite(("P-Preferred-Identity", '"Sales" <sip:sales@tandem.test>'))
    own = complete(caller(ALICE), wish, lambda uri: uri.user == "sales")
    assert headers_for(own, trusted=True) == (("P-Asserted-Identity", '"Sales" <sip:sales@tandem.test>'),)
    assert from_value(own) == '"Sales" <sip:sales@tandem.test>'
    another = complete(caller(ALICE), wish, lambda _uri: False)
    assert from_value(another) == '"Alice" <sip:alice@tandem.test>'
    stranger = complete(caller(), wish, lambda _uri: True)
    assert headers_for(stranger, trusted=True) == ()


async def test_a_private_caller_is_hidden_on_the_proxy_way_from_watchers_and_not_from_the_record() -> None:
    """RFC 3323 §5: a proxy may not change From, so that we are a user agent for him."""
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Privacy="user")
        rung = await bob.request("INVITE")
        assert rung.call_id != alice.call_id
        assert b"alice" not in rung.encode().lower()
        (line,) = house.exchange.lines.of(BOB.id)
        assert (line.peer, line.peer_name) == ("sip:anonymous@anonymous.invalid", "Anonymous")
        bob.answer(rung, 486)
        await alice.response(486)
        alice.send("ACK")
        record = await house.record()
        assert (record.caller, record.caller_account) == (f"sip:alice@{DOMAIN}", ALICE.id)


@pytest.mark.parametrize("program", ["greeter", "mailbox"])
async def test_a_program_of_another_sees_nobody_and_ones_own_sees_its_owner(program: str) -> None:
    """`greeter` is Alice's, `mailbox` is Bob's; Alice hides herself."""
    async with House() as house:
        programs = Programs()
        house.board.attach(programs)
        alice = house.phone(ALICE)
        alice.call(f"sip:{program}@{DOMAIN}", Privacy="id", Subject="From Alice")
        await alice.response(486)
        alice.send("ACK")
        leg = programs.legs[0]
        said, request = leg
        if program == "greeter":
            assert said.account == ALICE
            assert request.from_uri == f"sip:alice@{DOMAIN}"
        else:
            assert said.account is None
            assert (request.from_uri, request.from_name) == ("sip:anonymous@anonymous.invalid", "Anonymous")
            assert "alice" not in repr(request.headers).lower()
        assert (await house.record()).caller == f"sip:alice@{DOMAIN}"


class Programs:
    """Programs that write down who calls, and decline."""

    def __init__(self) -> None:
        self.legs: list[tuple[Caller, RequestData]] = []

    def start(self, name: str, parameters: Sequence[str], account: Account, leg: ProgramLeg) -> None:
        assert leg.caller is not None
        assert leg.request is not None
        self.legs.append((leg.caller, leg.request))
        leg.reject(486)
