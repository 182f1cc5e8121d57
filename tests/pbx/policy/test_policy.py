"""The page of policy, line by line: what each kind of stranger and each kind of phone is told."""

from __future__ import annotations

import asyncio

import pytest

from directory.model import AccountRoute, ProgramRoute
from pbx.policy.settings import PolicySettings, TrustedPeers
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, play
from tests.simulation.virtual import simulate


def test_a_method_we_do_not_know_is_501_with_allow() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        response = await phone.ask(phone.request("FLY", f"sip:{DOMAIN}"))
        assert response.status == 501  # RFC 3261 §21.5.2
        assert "INVITE" in response.get_all("Allow")

    simulate(play(scene))


def test_an_unknown_extension_is_420_and_named() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        response = await phone.ask(phone.request("OPTIONS", f"sip:{DOMAIN}", ("Require", "path, teleport")))
        assert (response.status, response.get("Unsupported")) == (420, "teleport")  # RFC 3261 §8.2.2.3

    simulate(play(scene))


def test_no_hops_left_is_483_but_not_for_options() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        response = await phone.ask(phone.request("INVITE", f"sip:bob@{DOMAIN}", ("Max-Forwards", "0")))
        assert response.status == 483  # RFC 3261 §16.3 step 3
        response = await phone.ask(phone.request("OPTIONS", f"sip:{DOMAIN}", ("Max-Forwards", "0")))
        assert response.status == 200
        assert response.get_all("Accept") == ["application/sdp"]

    simulate(play(scene))


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE", "UPDATE", "NOTIFY", "SUBSCRIBE"])
def test_a_forged_to_tag_is_481(method: str) -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        request = phone.request(method, f"sip:bob@{DOMAIN}", to=f"<sip:bob@{DOMAIN}>;tag=forged")
        assert (await phone.ask(request)).status == 481
        assert not house.calls.invites

    simulate(play(scene))


@pytest.mark.parametrize("method", ["BYE", "INFO", "NOTIFY"])
def test_a_dialog_method_outside_a_dialog_is_481(method: str) -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        assert (await phone.ask(phone.request(method, f"sip:bob@{DOMAIN}"))).status == 481

    simulate(play(scene))


def test_the_unauthenticated_hear_the_same_401_for_every_local_address() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("mallory", password="x")
        answers = []
        for target in ("bob", "nobody", "200", "600", "*97", "*98"):
            for sender in (f"<sip:alice@{DOMAIN}>", f"<sip:nobody@{DOMAIN}>", "<sip:m@elsewhere.example>"):
                response = await phone.ask(phone.request("INVITE", f"sip:{target}@{DOMAIN}", from_=sender))
                answers.append((response.status, response.reason, [kind for kind, _ in response.headers()]))
        assert len({repr(answer) for answer in answers}) == 1
        assert answers[0][0] == 401
        assert not house.calls.invites

    simulate(play(scene))


def test_a_wrong_password_and_an_unknown_user_hear_the_same() -> None:
    async def scene(house: Exchange) -> None:
        answers = []
        for user, password in (("alice", "wrong"), ("nobody", "wrong"), ("alice", "")):
            phone = house.phone(user, password=password)
            response = await phone.register()
            answers.append((response.status, response.reason, [kind for kind, _ in response.headers()]))
        assert answers == [answers[0]] * 3
        assert answers[0][0] == 403
        assert house.metrics.value("sip.auth.failures") == 3
        assert len(house.bindings) == 0

    simulate(play(scene))


@pytest.mark.parametrize(
    "username", ["alice", f"alice@{DOMAIN}", "ALICE", "201", f"201@{DOMAIN}", "sip:alice@10.0.0.1"]
)
def test_every_form_of_a_user_name_logs_in(username: str) -> None:
    async def scene(house: Exchange) -> None:
        assert (await house.phone().register(username=username)).status == 200

    simulate(play(scene))


def test_an_extension_registers_the_account_and_the_server_s_address_means_the_domain() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        aor = "<sip:201@10.0.0.1>"
        response = await phone.prove(phone.request("REGISTER", "sip:10.0.0.1", to=aor, from_=aor), "201")
        assert response.status == 200
        assert len(house.bindings.contacts(house.account_id("alice"))) == 1

    simulate(play(scene))


def test_nobody_registers_for_another() -> None:
    async def scene(house: Exchange) -> None:
        assert (await house.phone("alice").register(user="bob")).status == 403
        assert len(house.bindings) == 0

    simulate(play(scene))


def test_a_proven_caller_is_handed_to_calls_with_what_was_proved() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        response = await phone.prove(phone.request("INVITE", f"sip:202@{DOMAIN}", from_=f'"Al" <sip:201@{DOMAIN}>'))
        assert response.status == 486
        _, caller, resolution = house.calls.invites[0]
        assert caller.account is not None
        assert (caller.account.name, caller.name, caller.source) == ("alice", "Al", phone.local)
        assert isinstance(resolution.route, AccountRoute)
        assert resolution.route.account.name == "bob"
        await phone.prove(phone.request("INVITE", f"sip:*98@{DOMAIN}"))
        assert isinstance(house.calls.invites[1][2].route, ProgramRoute)

    simulate(play(scene))


def test_a_proven_caller_may_not_borrow_a_name() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        request = phone.request("INVITE", f"sip:202@{DOMAIN}", from_=f"<sip:bob@{DOMAIN}>")
        assert (await phone.prove(request)).status == 403
        assert not house.calls.invites
        hidden = phone.request("INVITE", f"sip:202@{DOMAIN}", from_="<sip:anonymous@anonymous.invalid>")
        assert (await phone.prove(hidden)).status == 486

    simulate(play(scene))


def test_no_open_relay() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        foreign = phone.request("INVITE", "sip:1900@elsewhere.example", from_="<sip:x@other.example>")
        assert (await phone.ask(foreign)).status == 403
        ours = phone.request("MESSAGE", "sip:x@elsewhere.example")
        assert (await phone.ask(ours)).status == 407
        options = phone.request("OPTIONS", "sip:x@elsewhere.example", from_="<sip:x@other.example>")
        assert (await phone.ask(options)).status == 403
        assert not house.calls.invites

    simulate(play(scene))


def test_trusted_peers_are_not_challenged() -> None:
    async def scene(house: Exchange) -> None:
        gateway = house.phone("gateway", host="10.9.0.5")
        response = await gateway.ask(
            gateway.request("INVITE", f"sip:bob@{DOMAIN}", from_="<sip:+4912345@carrier.example>")
        )
        assert response.status == 486
        assert house.calls.invites[0][1].trusted
        assert house.calls.invites[0][1].account is None

    simulate(play(scene, PolicySettings(trusted=("10.9.0.0/24",))))
    with pytest.raises(ValueError):
        TrustedPeers(("not an address",))


def test_strangers_come_in_only_when_allowed_and_never_further() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("stranger")
        sender = "<sip:someone@elsewhere.example>"
        assert (await phone.ask(phone.request("INVITE", f"sip:bob@{DOMAIN}", from_=sender))).status == 486
        assert (await phone.ask(phone.request("INVITE", "sip:x@third.example", from_=sender))).status == 403
        ours = phone.request("INVITE", f"sip:bob@{DOMAIN}", from_=f"<sip:alice@{DOMAIN}>")
        assert (await phone.ask(ours)).status == 401

    simulate(play(scene, PolicySettings(strangers=True)))


def test_sha_256_is_offered_second_to_those_who_survive_it() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        plain = await phone.ask(phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>"))
        assert [value.count("MD5") for value in plain.get_all("WWW-Authenticate")] == [1]
        strict = phone.request(  # it gives up when any challenge is not MD5 ("Function not implemented")
            "REGISTER", f"sip:{DOMAIN}", ("User-Agent", "baresip v1.0.0 (x86_64/linux)"), to=f"<sip:alice@{DOMAIN}>"
        )
        assert len((await phone.ask(strict)).get_all("WWW-Authenticate")) == 1
        modern = phone.request("REGISTER", f"sip:{DOMAIN}", ("User-Agent", "Linphone/5"), to=f"<sip:alice@{DOMAIN}>")
        offered = await phone.ask(modern)
        algorithms = ["SHA-256" if "SHA-256" in value else "MD5" for value in offered.get_all("WWW-Authenticate")]
        assert algorithms == ["MD5", "SHA-256"]
        second = offered.copy()
        second.remove_first("WWW-Authenticate")
        assert (await phone.ask(phone.credentials(modern, second))).status == 200

    simulate(play(scene))


def test_an_old_nonce_is_stale_not_wrong() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        request = phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>")
        challenge = await phone.ask(request)
        await asyncio.sleep(400)
        late = await phone.ask(phone.credentials(request, challenge))
        assert late.status == 401
        assert "stale=true" in (late.get("WWW-Authenticate") or "")
        assert house.metrics.value("sip.auth.failures") == 0
        assert (await phone.ask(phone.credentials(request, late))).status == 200

    simulate(play(scene))


def test_guessing_becomes_slow_and_right_passwords_do_not() -> None:
    async def scene(house: Exchange) -> None:
        guesser = house.phone("alice", host="10.0.0.77", password="guess")
        waits = []
        for _ in range(12):
            before = house.clock.now()
            assert (await guesser.register()).status == 403
            waits.append(house.clock.now() - before)
        assert max(waits[:5]) < 0.1
        assert 7.9 < waits[-1] < 9.0
        honest = house.phone("bob", host="10.0.0.77", port=5062)
        before = house.clock.now()
        assert (await honest.register()).status == 200
        assert house.clock.now() - before < 0.1

    simulate(play(scene))


def test_an_unknown_event_is_489() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        response = await phone.prove(phone.request("SUBSCRIBE", f"sip:alice@{DOMAIN}", ("Event", "weather")))
        assert (response.status, response.get("Allow-Events")) == (489, "message-summary, dialog, presence, reg")

    simulate(play(scene))


def test_a_message_from_our_own_socket_is_a_loop() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        data = phone.request("OPTIONS", f"sip:{DOMAIN}").encode()
        house.network.carry(data, ("10.0.0.1", 5060), ("10.0.0.1", 5060))
        await asyncio.sleep(1)
        assert house.metrics.value("sip.refused.482") == 1

    simulate(play(scene))
