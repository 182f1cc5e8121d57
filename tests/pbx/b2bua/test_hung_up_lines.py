"""Analog lines do not say that their party has gone: the tone that they bring instead ends the call (`mediaproxy`)."""

from __future__ import annotations

from pbx.trunk.tones import tones
from tests.pbx.b2bua.house import ALICE, House
from tests.pbx.b2bua.test_acceptance import MOBILE, gateway_of


async def test_the_tone_of_a_line_that_was_called_ends_the_call() -> None:
    async with House() as house:
        gateway, databases = await gateway_of(house)
        alice = house.phone(ALICE)
        alice.call(f"sip:{MOBILE}")
        gateway.answer(await gateway.request("INVITE"), 200, gateway.sdp(6000))
        await gateway.request("ACK")
        await alice.response(200)
        alice.send("ACK")
        near, far = house.studio.streams
        assert near.settings is not None
        assert far.settings is not None
        assert near.settings.disconnect_tones == (), "a telephone says that it hangs up"
        assert far.settings.disconnect_tones == tones("us")
        far.listener.media_hung_up()
        gateway.answer(await gateway.request("BYE"), 200)
        alice.answer(await alice.request("BYE"), 200)
        record = await house.record()
        assert (record.ended_by, record.cause) == ("callee", "disconnect tone")
        databases.discard()


async def test_the_tone_of_a_line_that_has_called_ends_what_a_program_does_with_it() -> None:
    async with House() as house:
        gateway, databases = await gateway_of(house)
        house.trunks[gateway.account.domain] = "line"
        gateway.call("sip:echo@tandem.test")
        await gateway.response(200)
        gateway.send("ACK")
        (stream,) = house.studio.streams
        assert stream.settings is not None
        assert stream.settings.disconnect_tones == tones("us")
        stream.listener.media_hung_up()
        stream.listener.media_hung_up()
        gateway.answer(await gateway.request("BYE"), 200)
        record = await house.record()
        assert (record.ended_by, record.cause) == ("caller", "disconnect tone")
        databases.discard()


async def test_a_line_without_such_tones_is_not_listened_to() -> None:
    async with House() as house:
        gateway, databases = await gateway_of(house, tone="")
        alice = house.phone(ALICE)
        alice.call(f"sip:{MOBILE}")
        gateway.answer(await gateway.request("INVITE"), 200, gateway.sdp(6000))
        await alice.response(200)
        assert all(each.settings is not None and each.settings.disconnect_tones == () for each in house.studio.streams)
        databases.discard()


async def test_a_hook_flash_passes_both_ways_as_it_came() -> None:
    """A telephone flashes the line, for the second call that waits there; a gateway's telephone tells its flash."""
    async with House() as house:
        gateway, databases = await gateway_of(house)
        alice = house.phone(ALICE)
        alice.call(f"sip:{MOBILE}")
        invite = await gateway.request("INVITE")
        gateway.takes(invite)
        gateway.answer(invite, 200, gateway.sdp(6000))
        await alice.response(200)
        alice.send("ACK")
        for flasher, other in ((alice, gateway), (gateway, alice)):
            flasher.send("INFO", b"signal=hf\r\n", "application/hook-flash")
            told = await other.request("INFO")
            assert (told.content_type, told.body) == ("application/hook-flash", b"signal=hf\r\n")
            other.answer(told, 200)
            await flasher.response(200, "INFO")
        databases.discard()
