"""The page of policy, line by line: what each kind of stranger and each kind of phone is told."""

from __future__ import annotations

import asyncio

import pytest

from directory.model import AccountRoute, ProgramRoute
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone, play
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


def test_what_a_telephone_must_know_is_not_asked_of_the_proxy() -> None:
    """RFC 3261 §16.3 step 5: of what goes further only Proxy-Require counts."""

    async def scene(house: Exchange) -> None:
        phone = house.phone()
        for header, status in (("Require", 486), ("Proxy-Require", 420)):
            response = await phone.prove(phone.request("INVITE", f"sip:bob@{DOMAIN}", (header, "teleport")))
            assert response.status == status

    simulate(play(scene))


def test_a_caller_may_write_his_number_as_tel() -> None:
    """RFC 3966: in From; whose number it is was proved. Somebody else's is refused."""

    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        request = phone.request("INVITE", f"sip:bob@{DOMAIN}", from_="<tel:201>")
        assert (await phone.prove(request)).status == 486
        assert house.calls.invites[-1][1].account is not None
        request = phone.request("INVITE", f"sip:bob@{DOMAIN}", from_="<tel:202>")
        assert (await phone.prove(request)).status == 403

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
        await house.directory.network_settings.set("TrustedPeers", "10.9.0.0/24 ; the rack")
        gateway = house.phone("gateway", host="10.9.0.5")
        response = await gateway.ask(
            gateway.request("INVITE", f"sip:bob@{DOMAIN}", from_="<sip:+4912345@carrier.example>")
        )
        assert response.status == 486
        assert house.calls.invites[0][1].trusted
        assert house.calls.invites[0][1].account is None
        out = gateway.request("INVITE", "sip:1900@elsewhere.example", from_="<sip:+4912345@carrier.example>")
        assert (await gateway.ask(out)).status == 403  # it calls in, not through
        await house.directory.network_settings.set("TrustedPeers", None)
        again = gateway.request("INVITE", f"sip:bob@{DOMAIN}", from_="<sip:+4912345@carrier.example>")
        assert (await gateway.ask(again)).status == 401

    simulate(play(scene))


def test_client_ips_call_anywhere_and_are_nobody() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.network_settings.set("ClientIPs", "10.9.0.1-10.9.0.9")
        inside, outside = house.phone("m", host="10.9.0.9"), house.phone("m", host="10.9.0.10")
        for target in (f"sip:bob@{DOMAIN}", "sip:1900@elsewhere.example"):
            claimed = inside.request("INVITE", target, from_=f"<sip:alice@{DOMAIN}>")
            assert (await inside.ask(claimed)).status == 486
            caller = house.calls.invites[-1][1]
            assert (caller.client, caller.trusted, caller.account, caller.payer) == (True, False, None, None)
        assert (await outside.ask(outside.request("INVITE", f"sip:bob@{DOMAIN}"))).status == 401
        known = inside.request("INVITE", f"sip:bob@{DOMAIN}", from_=f"<sip:alice@{DOMAIN}>")
        proof = await outside.ask(outside.request("INVITE", f"sip:bob@{DOMAIN}"))
        inside.user, inside.password = "alice", "alice-secret"
        assert (await inside.ask(inside.credentials(known, proof))).status == 486
        assert house.calls.invites[-1][1].account is not None  # who proves himself there is known

    simulate(play(scene))


@pytest.mark.parametrize(
    ("relay", "account", "client", "stranger"),
    [("clients", 486, 486, 403), ("nobody", 403, 403, 403), ("everybody", 486, 486, 486)],
)
def test_relay_to_non_clients_for(relay: str, account: int, client: int, stranger: int) -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.network_settings.set("ClientIPs", "10.9.0.9")
        await house.directory.network_settings.set("RelayToNonClients", relay)
        alice, peer, anybody = house.phone("alice"), house.phone("m", host="10.9.0.9"), house.phone("m")
        target, foreign = "sip:1900@elsewhere.example", "<sip:x@other.example>"
        assert (await alice.prove(alice.request("INVITE", target))).status == account
        assert (await peer.ask(peer.request("INVITE", target, from_=foreign))).status == client
        assert (await anybody.ask(anybody.request("INVITE", target, from_=foreign))).status == stranger
        assert (await alice.prove(alice.request("INVITE", "sip:1900@10.9.0.9"))).status == 486  # it is a client

    simulate(play(scene))


def test_an_account_that_may_not_call_out_is_kept_in() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_setting(house.account_id("alice"), "OutsideCalls", "NO")
        alice = house.phone("alice")
        assert (await alice.prove(alice.request("INVITE", "sip:1900@elsewhere.example"))).status == 403
        assert (await alice.prove(alice.request("INVITE", f"sip:bob@{DOMAIN}"))).status == 486

    simulate(play(scene))


def test_a_gateway_calls_in_by_its_login_in_any_name_and_out_only_if_allowed() -> None:
    async def scene(house: Exchange) -> None:
        gateway = house.phone("bob")
        carrier = "<sip:+4912345@carrier.example>"
        borrowed = gateway.request("INVITE", f"sip:alice@{DOMAIN}", from_=carrier)
        assert (await gateway.prove(borrowed)).status == 403  # a login alone is no gateway
        await house.directory.create_group(DOMAIN, "ExternalGateways", ["202"])
        for sender in (carrier, f"<sip:alice@{DOMAIN}>", f"<sip:bob@{DOMAIN}>"):
            assert (await gateway.prove(gateway.request("INVITE", f"sip:alice@{DOMAIN}", from_=sender))).status == 486
            caller = house.calls.invites[-1][1]
            assert (caller.trusted, caller.account, caller.payer) == (True, None, None)
        out = "sip:1900@elsewhere.example"
        assert (await gateway.prove(gateway.request("INVITE", out))).status == 403
        await house.directory.set_setting(house.account_id("bob"), "OutsideCalls", "YES")
        assert (await gateway.prove(gateway.request("INVITE", out))).status == 486
        assert house.calls.invites[-1][1].payer is not None
        forged = house.phone("m").request("INVITE", f"sip:alice@{DOMAIN}", from_=f"<sip:bob@{DOMAIN}>")
        assert (await house.phone("m").ask(forged)).status == 401  # its From opens nothing

    simulate(play(scene))


def test_strangers_come_in_only_when_allowed_and_never_further() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_setting(house.account_id("bob"), "AcceptStrangers", "YES")
        phone = house.phone("stranger")
        sender = "<sip:someone@elsewhere.example>"
        assert (await phone.ask(phone.request("INVITE", f"sip:bob@{DOMAIN}", from_=sender))).status == 486
        assert (await phone.ask(phone.request("INVITE", "sip:x@third.example", from_=sender))).status == 403
        ours = phone.request("INVITE", f"sip:bob@{DOMAIN}", from_=f"<sip:alice@{DOMAIN}>")
        assert (await phone.ask(ours)).status == 401
        for target in ("alice", "nobody", "200", "600", "0", "*202", "777"):  # nobody else, and no program
            assert (await phone.ask(phone.request("INVITE", f"sip:{target}@{DOMAIN}", from_=sender))).status == 401, (
                target
            )
        assert (await phone.ask(phone.request("MESSAGE", f"sip:bob@{DOMAIN}", from_=sender))).status == 401

    simulate(play(scene))


def test_a_domain_may_take_strangers_for_all_its_accounts_and_groups() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_domain_setting(DOMAIN, "AcceptStrangers", "YES")
        await house.directory.create_group(DOMAIN, "sales", ["alice", "x@elsewhere.example"])
        await house.directory.create_forwarder(DOMAIN, "out", "1900@elsewhere.example")
        phone, sender = house.phone("stranger"), "<sip:someone@elsewhere.example>"
        told = {
            target: (await phone.ask(phone.request("INVITE", f"sip:{target}@{DOMAIN}", from_=sender))).status
            for target in ("alice", "202", "200", "sales", "out", "nobody", "600", "*202")
        }
        assert told == {
            "alice": 486, "202": 486, "200": 486, "sales": 486, "out": 401, "nobody": 401, "600": 401, "*202": 401
        }  # fmt: skip

    simulate(play(scene))


def test_a_stranger_may_try_only_so_often() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_domain_setting(DOMAIN, "AcceptStrangers", "YES")
        await house.directory.network_settings.set("StrangersPace", "3,1m")
        pest, other, sender = house.phone("pest"), house.phone("other"), "<sip:someone@elsewhere.example>"

        async def call(phone: Phone) -> int:
            return (await phone.ask(phone.request("INVITE", f"sip:bob@{DOMAIN}", from_=sender))).status

        assert [await call(pest) for _ in range(5)] == [486, 486, 486, 401, 401]
        assert await call(other) == 486
        await asyncio.sleep(61)
        assert await call(pest) == 486
        assert house.metrics.value("sip.strangers.refused") == 2

    simulate(play(scene))


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
