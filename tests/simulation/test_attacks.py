"""A whole server under attack, in virtual time: what an attacker sends leads nowhere but back to him.

All that is on the wire is seen, so that nothing can be smuggled to a third party unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from pbx.transport.network import Stream
from tests.simulation.draft import Draft
from tests.simulation.network import SERVER
from tests.simulation.phones import DOMAIN
from tests.simulation.siege import HOMES, Known, Peer, Reply, Stage, play

BOB = f"sip:202@{DOMAIN}"
VICTIM = "20.0.0.9"
"""Somebody who has nothing to do with any of it."""
METHODS = ("INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER", "REFER", "ACK")
INSIDE = ("BYE", "INFO", "UPDATE", "PRACK", "REFER", "INVITE", "NOTIFY", "MESSAGE", "SUBSCRIBE")


def attack(act: Callable[[Stage], Awaitable[None]], *, proxied: bool = False) -> None:
    faults = play(act, proxied=proxied)
    assert not faults, faults


def added(draft: Draft, name: str, value: str) -> Draft:
    """With one more header, before all others of its name."""
    return replace(draft, headers=((name, value), *draft.headers))


def redirected(draft: Draft, uri: str) -> Draft:
    method = draft.start.partition(" ")[0]
    return replace(draft, start=f"{method} {uri} SIP/2.0")


async def talking(stage: Stage) -> tuple[Known, Known]:
    """Alice has called bob: the dialog as she sees it, and as he does."""
    alice, bob = stage.peers["alice"], stage.peers["bob"]
    assert await stage.ask("alice", alice.outside("INVITE", BOB)) == 200
    return alice.dialogs[-1], bob.dialogs[-1]


# --- nobody is reached who was not meant


TRICKS: dict[str, Callable[[Draft], Draft]] = {
    "maddr": lambda draft: redirected(draft, f"{BOB};maddr={VICTIM}"),
    "maddr and transport": lambda draft: redirected(draft, f"{BOB};transport=tcp;maddr={VICTIM}"),
    "route": lambda draft: added(draft, "Route", f"<sip:{VICTIM};lr>"),
    "strict route": lambda draft: added(draft, "Route", f"<sip:{VICTIM}>"),
    "route by way of us": lambda draft: added(draft, "Route", f"<sip:{SERVER[0]}:5060;lr>,<sip:{VICTIM};lr>"),
    "our address, then a route": lambda draft: redirected(
        added(draft, "Route", f"<sip:x@{VICTIM}>"), f"sip:{SERVER[0]}:5060;lr"
    ),
    "contact": lambda draft: draft.sets("Contact", f"<sip:x@{VICTIM}:5060>"),
    "record-route": lambda draft: added(draft, "Record-Route", f"<sip:{VICTIM};lr>"),
    "path": lambda draft: added(draft, "Path", f"<sip:{VICTIM};lr>"),
    "via": lambda draft: added(draft, "Via", f"SIP/2.0/UDP {VICTIM}:5060;branch=z9hG4bKvia;rport"),
    "received": lambda draft: draft.sets(
        "Via", f"SIP/2.0/UDP {VICTIM};branch=z9hG4bKreceived;received={VICTIM};rport=5060"
    ),
    "headers in the address": lambda draft: redirected(draft, f"{BOB}?Route=%3Csip:{VICTIM}%3E"),
    "reply-to": lambda draft: added(draft, "Reply-To", f"<sip:{VICTIM}>"),
}


@pytest.mark.parametrize("who", ["stranger", "alice"])
@pytest.mark.parametrize("trick", TRICKS)
def test_no_request_reaches_a_third_party(trick: str, who: str) -> None:
    async def act(stage: Stage) -> None:
        peer = stage.peers[who]
        for method in METHODS:
            draft = TRICKS[trick](peer.outside(method, BOB).sets("Expires", "600"))
            peer.send(draft)
            await asyncio.sleep(1.0)
        bob = stage.peers["bob"]
        bob.send(bob.outside("INVITE", f"sip:201@{DOMAIN}"))  # whatever alice has registered
        await asyncio.sleep(60.0)
        assert stage.sent_to(VICTIM) == []

    attack(act)


@pytest.mark.parametrize(
    "target",
    [
        "sip:x@127.0.0.1:6379;transport=tcp",
        "sip:x@inside.example:6379;transport=tcp",
        "sip:x@inside.example:6379",
        "sip:x@169.254.169.254:80;transport=tcp",
        "sip:x@0.0.0.0:6379;transport=tcp",
    ],
)
def test_nobody_speaks_to_the_other_services_of_the_machine(target: str) -> None:
    """An account dials them, by number or by a name of his own."""

    async def act(stage: Stage) -> None:
        reached: list[object] = []

        def accept(stream: Stream) -> object:
            reached.append(stream)
            raise AssertionError("connected")

        stage.network.add_names({"inside.example": ("127.0.0.1",)})
        for host in ("127.0.0.1", "169.254.169.254", "0.0.0.0"):
            for port in (80, 6379):
                await stage.network.listen((host, port), accept)  # type: ignore[arg-type]
                stage.network.open((host, port), lambda data, source: reached.append(data))
        alice = stage.peers["alice"]
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS"):
            assert await stage.ask("alice", alice.outside(method, target)) in (200, 404, 408, 480, 500, 503)
        assert reached == []

    attack(act)


def test_a_maddr_does_not_lead_past_relay_protection() -> None:
    """`RelayToNonClients` leaves one server; the address names it, and another one in maddr."""

    async def act(stage: Stage) -> None:
        directory = stage.server.house.directory
        await directory.network_settings.set("RelayToNonClients", "nobody")
        await directory.network_settings.set("TrustedPeers", HOMES["far"])
        alice = stage.peers["alice"]
        assert await stage.ask("alice", alice.outside("INVITE", f"sip:x@{VICTIM}")) == 403
        target = f"sip:x@{HOMES['far']};maddr={VICTIM}"
        assert await stage.ask("alice", alice.outside("INVITE", target)) == 200
        assert f"INVITE sip:x@{HOMES['far']} SIP/2.0" in [each.start for each in stage.peers["far"].requests]
        assert stage.sent_to(VICTIM) == []

    attack(act)


def test_one_answer_for_one_request_of_somebody_whose_address_may_be_forged() -> None:
    """RFC 3261 §26.3.2.4: what is sent to VICTIM in our name is no more than was sent to us in his."""

    async def act(stage: Stage) -> None:
        forger = Peer("stranger", stage.network, stage.replies)
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "BYE", "NONE"):
            stage.network.carry(forger.outside(method, BOB).encode(), (VICTIM, 5060), SERVER)
        stage.network.carry(forger.outside("INVITE", f"sip:nobody@{DOMAIN}").encode(), (VICTIM, 5060), SERVER)
        await asyncio.sleep(60.0)
        assert len(stage.sent_to(VICTIM)) <= 6

    # bob takes strangers, but not when he is told not to
    async def shy(stage: Stage) -> None:
        account = stage.server.house.directory.find_account(DOMAIN, "bob")
        assert account is not None
        await stage.server.house.directory.set_setting(account.id, "AcceptStrangers", "NO")
        await act(stage)

    attack(shy)


# --- calls of others


@pytest.mark.parametrize("proxied", [False, True])
def test_a_call_is_safe_from_who_knows_its_call_id(proxied: bool) -> None:
    """From another address: without tags, with guessed ones, with one of two."""

    async def act(stage: Stage) -> None:
        hers, his = await talking(stage)
        stranger = stage.peers["stranger"]
        heard = [len(stage.peers[name].requests) for name in ("alice", "bob")]
        for known in (hers, his):
            for local, remote in (
                (known.local.partition(";tag=")[0], known.remote),
                (known.local, known.remote.partition(";tag=")[0] + ";tag=guess"),
                (known.local.partition(";tag=")[0] + ";tag=guess", known.remote.partition(";tag=")[0] + ";tag=guess2"),
            ):
                for method in INSIDE:
                    forged = Known(known.call_id, local, remote, known.target, 50)
                    status = await stage.ask("stranger", stranger.inside(method, forged), 0.2)
                    assert status in (481, 403, 401, 400), (method, local, remote)
        assert [len(stage.peers[name].requests) for name in ("alice", "bob")] == heard
        assert len(stage.server.house.switchboard.exchange.calls) == 1

    attack(act, proxied=proxied)


def test_a_seal_that_was_altered_or_is_anothers_opens_nothing() -> None:
    async def act(stage: Stage) -> None:
        hers, his = await talking(stage)
        (seal, *_) = his.routes
        alice, stranger = stage.peers["alice"], stage.peers["stranger"]
        heard = len(stage.peers["bob"].requests), len(alice.requests)
        packed, _, rest = seal.partition("sip:")[2].partition(".")
        forgeries = [
            seal.replace(packed, packed[:-2] + ("A" if packed[-2] != "A" else "B") + packed[-1]),
            seal.replace("." + rest.partition("@")[0], ""),
            seal.replace(packed, ""),
            f"<sip:{SERVER[0]}:5060;lr>",
            f"<sip:{SERVER[0]}:5060;lr>,{seal}",
        ]
        for route in forgeries:  # by one who is in the dialog, so that all else is right
            known = Known(hers.call_id, hers.local, hers.remote, hers.target, 70, routes=(route,))
            assert await stage.ask("alice", alice.inside("INFO", known)) == 481, route
        other = Known(
            "another", "<sip:x@far.example>;tag=1", "<sip:y@far.example>;tag=2", hers.target, 1, routes=(seal,)
        )
        for method in INSIDE:
            assert await stage.ask("stranger", stranger.inside(method, other)) == 481
        # as a strict router would: the seal in the Request-URI
        strict = redirected(stranger.inside("BYE", replace(other, routes=(f"<sip:x@{VICTIM}>",))), seal.strip("<>"))
        assert await stage.ask("stranger", strict) == 481
        assert (len(stage.peers["bob"].requests), len(alice.requests)) == heard
        assert stage.sent_to(VICTIM) == []

    attack(act, proxied=True)


@pytest.mark.parametrize("proxied", [False, True])
def test_a_call_is_cancelled_by_its_caller_alone(proxied: bool) -> None:
    async def act(stage: Stage) -> None:
        alice, stranger = stage.peers["alice"], stage.peers["stranger"]
        stage.replies.append(Reply((180,)))
        alice.send(alice.outside("INVITE", BOB))
        await asyncio.sleep(1.0)
        mine = alice.dialogs[-1]
        for branch, call_id, local in (
            ("z9hG4bKguess", mine.call_id, mine.local),
            (mine.branch, "guess", mine.local),
            (mine.branch, mine.call_id, mine.local + "x"),
        ):
            known = replace(mine, branch=branch, call_id=call_id, local=local, target=BOB)
            draft = stranger.inside("CANCEL", known)
            via = f"SIP/2.0/UDP {HOMES['alice']}:5060;branch={branch};rport"
            assert await stage.ask("stranger", draft.sets("Via", via)) == 481
        assert not any(each.start.startswith("CANCEL") for each in stage.peers["bob"].requests)
        alice.send(alice.inside("CANCEL", replace(mine, target=BOB, remote=f"<{BOB}>")))
        await asyncio.sleep(1.0)
        assert any(each.start.startswith("CANCEL") for each in stage.peers["bob"].requests)

    attack(act, proxied=proxied)


# --- what belongs to others


@pytest.mark.parametrize(
    ("who", "method", "event", "status"),
    [
        ("stranger", "SUBSCRIBE", "dialog", 401),
        ("stranger", "SUBSCRIBE", "presence", 401),
        ("stranger", "SUBSCRIBE", "reg", 401),
        ("stranger", "SUBSCRIBE", "message-summary", 401),
        ("stranger", "PUBLISH", "presence", 401),
        ("stranger", "MESSAGE", "", 401),
        ("bob", "SUBSCRIBE", "reg", 403),
        ("bob", "SUBSCRIBE", "message-summary", 403),
        ("bob", "PUBLISH", "presence", 403),
        ("bob", "SUBSCRIBE", "dialog", 403),
        ("bob", "SUBSCRIBE", "presence", 403),
    ],
)
def test_what_is_anothers_is_not_shown_or_changed(who: str, method: str, event: str, status: int) -> None:
    """Alice lets nobody watch her."""

    async def act(stage: Stage) -> None:
        directory = stage.server.house.directory
        account = directory.find_account(DOMAIN, "alice")
        assert account is not None
        await directory.set_setting(account.id, "WatchedBy", "nobody")
        before = len(stage.sent_to(HOMES[who]))
        draft = stage.peers[who].outside(method, f"sip:alice@{DOMAIN}")
        assert await stage.ask(who, draft.sets("Event", event) if event else draft) == status
        told = stage.sent_to(HOMES[who])[before:]
        assert not any(data.startswith(b"NOTIFY") and b"message-summary" not in data for data in told)

    attack(act)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER"])
def test_a_borrowed_identity_is_refused(method: str) -> None:
    """Bob's password, alice's address."""

    async def act(stage: Stage) -> None:
        draft = stage.peers["bob"].outside(method, f"sip:alice@{DOMAIN}")
        address = f"<sip:alice@{DOMAIN}>"
        draft = draft.sets("From", f"{address};tag=forged")
        draft = draft.sets("To", address) if method == "REGISTER" else draft
        heard = len(stage.peers["alice"].requests)
        assert await stage.ask("bob", draft) == 403
        assert len(stage.peers["alice"].requests) == heard
        account = stage.server.house.directory.find_account(DOMAIN, "alice")
        assert account is not None
        assert [each.contact for each in stage.server.house.bindings.known(account.id)] == ["sip:alice@10.0.0.2:5060"]

    attack(act)


@pytest.mark.parametrize("contact", [f"sip:bob@{VICTIM}:5060", f"sip:bob@{VICTIM}", "sip:alice@10.0.0.2:5060"])
def test_nobody_has_others_called_by_registering_their_addresses(contact: str) -> None:
    """What is sent for a contact goes where its REGISTER came from."""

    async def act(stage: Stage) -> None:
        bob, alice = stage.peers["bob"], stage.peers["alice"]
        draft = bob.outside("REGISTER", BOB).sets("Contact", f"<{contact}>")
        assert await stage.ask("bob", draft) == 200
        heard = len(alice.requests)
        assert await stage.ask("alice", alice.outside("INVITE", BOB)) == 200
        await asyncio.sleep(300.0)  # and the questions whether he is still there
        assert stage.sent_to(VICTIM) == []
        assert not any(each.start.startswith("INVITE") for each in alice.requests[heard:])

    attack(act)


def test_many_and_huge_contacts_are_refused() -> None:
    async def act(stage: Stage) -> None:
        bob, bindings = stage.peers["bob"], stage.server.house.bindings
        many = ",".join(f"<sip:bob@10.0.0.3:{port}>" for port in range(6000, 6300))
        huge = f"<sip:bob@10.0.0.3:7000>;x={'y' * 9000}"
        for value, status in ((many, 403), (huge, 400), ("*", 400), (f"<{'sip:' + 'b' * 9000}@10.0.0.3>", 400)):
            draft = bob.outside("REGISTER", BOB).sets("Contact", value)
            assert await stage.ask("bob", draft) == status, value[:40]
        for port in range(6000, 6100):
            draft = bob.outside("REGISTER", BOB).sets("Contact", f"<sip:bob@10.0.0.3:{port}>")
            bob.send(draft.sets("Call-ID", f"another-{port}"))
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)
        assert len(bindings) <= 1 + 20

    attack(act)


def test_credentials_serve_once_and_only_for_what_they_were_made() -> None:
    async def act(stage: Stage) -> None:
        alice = stage.peers["alice"]
        used = alice.outside("MESSAGE", BOB)
        assert await stage.ask("alice", used) == 200
        fresh = alice.outside("MESSAGE", BOB)
        proof = fresh.get("Authorization")
        near = stage.peers["near"] = Peer("stranger", stage.network, stage.replies)
        near.socket = stage.network.open(("10.0.0.77", 5060), near._arrived)
        again = used.sets("Call-ID", "again").sets("CSeq", "1 MESSAGE")
        for who in ("near", "stranger"):
            assert await stage.ask(who, again) == 401, "a count serves once"
        assert await stage.ask("stranger", fresh.sets("Call-ID", "far")) == 401, "a nonce is good where it was given"
        for forged in (
            proof.replace("nc=0", "nc=1"),
            proof.replace(f'uri="{BOB}"', f'uri="sip:600@{DOMAIN}"'),
            proof.replace('cnonce="c"', 'cnonce="d"'),
            proof.replace("qop=auth, ", ""),
            proof.replace("algorithm=MD5", "algorithm=SHA-256"),
            proof.replace("alice", "bob"),
        ):
            draft = fresh.sets("Call-ID", forged[-40:].replace(" ", "").replace(",", "")).sets("Authorization", forged)
            assert await stage.ask("near", draft) in (401, 403), forged
        other = redirected(fresh, BOB)
        other = replace(other, start=other.start.replace("MESSAGE", "INVITE")).sets("CSeq", "9 INVITE")
        assert await stage.ask("near", other.sets("Call-ID", "method")) == 403, "the method is sealed"
        assert await stage.ask("alice", fresh) == 200, "none of that has spent it"

    attack(act)


def test_a_new_password_ends_what_the_old_one_began() -> None:
    async def act(stage: Stage) -> None:
        alice, house = stage.peers["alice"], stage.server.house
        draft = alice.outside("SUBSCRIBE", BOB).sets("Event", "presence")
        assert await stage.ask("alice", draft) == 200
        account = house.directory.find_account(DOMAIN, "alice")
        assert account is not None
        await house.directory.set_password(account.id, "another-secret")
        await asyncio.sleep(2.0)
        assert "terminated;reason=deactivated" in [each.get("Subscription-State") for each in alice.requests]
        assert not house.bindings.known(account.id)
        assert await stage.ask("alice", alice.outside("REGISTER", BOB)) == 403

    attack(act)


@pytest.mark.parametrize(
    "sender",
    [
        '"Eve\r\n\tX-Evil: yes"',
        '"Eve\r\n X-Evil: yes\r\n \r\n body"',
        '"=?utf-8?q?Eve=0D=0AX-Evil:_yes?="',
        '"Eve%0d%0aX-Evil: yes"',
    ],
)
def test_a_caller_writes_no_header_of_a_voice_message(sender: str) -> None:
    """Nor of a record, whatever name he gives himself, folded or encoded."""

    async def act(stage: Stage) -> None:
        house, stranger = stage.server.house, stage.peers["stranger"]
        account = house.directory.find_account(DOMAIN, "bob")
        assert account is not None
        await house.directory.set_setting(account.id, "VoicemailOnBusy", "YES")
        stage.replies.append(Reply((486,)))
        draft = stranger.outside("INVITE", f"{BOB}")
        draft = draft.sets("From", f"{sender} <sip:x%0d%0aX-Evil@far.example>;tag=1").sets(
            "Subject", "a\r\n X-Evil: yes"
        )
        assert await stage.ask("stranger", draft) == 200
        known = stranger.dialogs[-1]
        known.local = draft.get("From")
        await asyncio.sleep(30.0)
        stranger.send(stranger.inside("BYE", known))
        await asyncio.sleep(5.0)
        (found,) = await house.store.messages(account.id, "INBOX")
        head = (await house.store.octets(account.id, found)).partition(b"\r\n\r\n")[0]
        names = [line.partition(b":")[0].lower() for line in head.splitlines() if line[:1] not in (b" ", b"\t")]
        assert b"x-evil" not in names, head
        assert all(line.partition(b":")[1] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t"))
        (record, *_) = await house.book.recent(10)
        assert not set(record.caller) & {"\r", "\n"}

    attack(act)
