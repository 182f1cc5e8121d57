"""The attendant as plays: extensions, departments, the operator, silence, nonsense; bridges and what ends them."""

from __future__ import annotations

import asyncio

import pytest

from tests.apps.stage import DOMAIN, Stage, perform
from tests.apps.stage_leg import StageLeg, tone_file


async def connected(stage: Stage) -> tuple[StageLeg, StageLeg]:
    """A caller who has typed 202, and bob who answered."""
    caller = stage.call("pbx", "pbx", called="200")
    await caller.hears("receptionprompt")
    caller.press("202")
    await caller.hears("tryingextension")
    bob = await stage.next_call()
    bob.rings()
    await caller.hears("ringing")
    await asyncio.sleep(3)
    bob.answered()
    await caller.told("= bridged with leg 1")
    return caller, bob


def test_an_extension_typed_at_once_is_bridged() -> None:
    async def play(stage: Stage) -> None:
        caller, bob = await connected(stage)
        assert bob.started is not None
        assert bob.started[0] == f"sip:202@{DOMAIN};services=no"
        assert bob.started[1] == {"From": "sip:+15551234@outside.example", "Expires": "20"}
        assert caller.heard[:8] == [
            "= answered",
            "< receptionprompt",
            "> 2",
            "> 0",
            "> 2",
            "< tryingextension",
            "< 2",
            "< 0",
        ]
        await asyncio.sleep(60)
        bob.hang_up()
        await caller.ended()
        assert stage.host.running == ()

    perform(play)


def test_the_callers_hang_up_ends_the_other_leg() -> None:
    async def play(stage: Stage) -> None:
        caller, bob = await connected(stage)
        caller.hang_up()
        await bob.ended(5)
        assert stage.host.running == ()

    perform(play)


def test_hanging_up_while_it_rings_cancels() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("receptionprompt")
        caller.press("202")
        bob = await stage.next_call()
        await asyncio.sleep(1)
        caller.hang_up()
        await bob.told("= cancels")
        await asyncio.sleep(1)
        assert stage.host.running == ()

    perform(play)


@pytest.mark.parametrize(
    ("error", "said"), [("486 Busy Here", "lineisbusy"), ("603 Declined", "lineisbusy"), ("408", "noanswer")]
)
def test_without_an_answer_the_menu_returns(error: str, said: str) -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("dialknownextension")
        caller.press("202")
        bob = await stage.next_call()
        bob.refused(error)
        await caller.hears(said)
        await caller.hears("dialknownextension")
        caller.hang_up()

    perform(play)


def test_voicemail_takes_it_when_so_set() -> None:
    async def play(stage: Stage) -> None:
        await stage.directory.set_setting(stage.account("pbx").id, "ReceptNoAnswer", "voicemail")
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("receptionprompt")
        caller.press("202")
        bob = await stage.next_call()
        assert bob.started is not None
        assert bob.started[0] == f"sip:202@{DOMAIN}", "with bob's own rules"
        caller.hang_up()

    perform(play)


def test_nonsense_silence_and_a_polite_end() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("dialknownextension")
        caller.press("299")
        await caller.hears("extensionunknown")
        await caller.hears("dialknownextension")
        caller.press("8")
        await caller.hears("invalidentry")
        await caller.hears("dialknownextension")
        caller.press("2")
        await caller.hears("invalidentry")
        for _ in range(2):
            await caller.hears("noentry")
        await caller.hears("goodbye")
        await caller.ended()

    perform(play)


def test_the_attendant_never_calls_itself_nor_outside() -> None:
    async def play(stage: Stage) -> None:
        await stage.directory.create_forwarder(DOMAIN, "299", "+15550000@pstn.example")
        await stage.directory.create_forwarder(DOMAIN, "298", "#pbx")
        caller = stage.call("pbx", "pbx", called="200")
        for extension in ("298", "299"):
            await caller.hears("dialknownextension")
            caller.press(extension)
            await caller.hears("extensionunknown")
        assert stage.calls == []
        caller.hang_up()

    perform(play)


@pytest.mark.parametrize("setting", ["menu", "voicemail"])
@pytest.mark.parametrize("typed", ["0", "200"])
def test_the_receptionists_telephones_ring_without_the_rules_that_lead_back_here(typed: str, setting: str) -> None:
    async def play(stage: Stage) -> None:
        await stage.directory.set_setting(stage.account("pbx").id, "ReceptNoAnswer", setting)
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("dialknownextension")
        caller.press(typed)
        receptionist = await stage.next_call()
        assert receptionist.started == (
            f"sip:{typed}@{DOMAIN};services=no",
            {"From": "sip:+15551234@outside.example", "Expires": "20"},
        )
        receptionist.refused("480")
        await caller.hears("noanswer")
        await caller.hears("dialknownextension")
        caller.hang_up()

    perform(play)


def test_departments_and_the_operator() -> None:
    async def play(stage: Stage) -> None:
        pbx = stage.account("pbx")
        await stage.directory.create_group(DOMAIN, "sales", ["alice", "bob"])
        await stage.directory.create_forwarder(DOMAIN, "frontdesk", "alice")
        await stage.directory.set_setting(pbx.id, "ReceptMenu", ["sales", "frontdesk", "operator"])
        await stage.directory.set_domain_setting(DOMAIN, "Operator", "bob")
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("dialknownextension")
        for prompt in ("forsales", "press", "1", "forfrontdesk", "press", "3", "foroperator", "press", "0"):
            await caller.hears(prompt)
        caller.press("1")
        await caller.hears("connectingnow")
        group = await stage.next_call()
        assert group.called == f"sip:sales@{DOMAIN};services=no"
        group.refused("480")
        await caller.hears("noanswer")
        caller.press("3")
        assert (await stage.next_call()).called == f"sip:frontdesk@{DOMAIN};services=no"
        caller.hang_up()
        other = stage.call("pbx", "pbx", called="200")
        await other.hears("receptionprompt")
        other.press("0")
        assert (await stage.next_call()).called == f"sip:0@{DOMAIN};services=no"
        other.hang_up()

    perform(play)


def test_the_owner_reaches_his_service_through_it() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("pbx", "pbx", called="200")
        await caller.hears("receptionprompt")
        caller.press("*")
        await caller.hears("enterextension")
        caller.press("202#")
        await caller.hears("enterpin")
        caller.press("2022#")
        await caller.hears("nomessages")
        caller.hang_up()
        stranger = stage.call("pbx", "pbx", called="200")
        await stranger.hears("receptionprompt")
        stranger.press("*")
        await stranger.hears("enterextension")
        stranger.press("777#")
        await stranger.hears("goodbye")
        await stranger.ended()

    perform(play)


def test_ones_own_phone_without_a_pin_opens_ones_own_mailbox_only() -> None:
    async def play(stage: Stage) -> None:
        bob = stage.account("bob")
        await stage.directory.set_pin(bob.id, None)
        await stage.services.files.write(bob.id, "mailprompt.wav", tone_file(2.2))
        caller = stage.call("pbx", "pbx", "bob", called="200")
        await caller.hears("receptionprompt")
        caller.press("*")
        await caller.hears("enterextension")
        caller.press("202#")
        await caller.hears("servicemenu")
        caller.press("2")
        await caller.hears("greetingmenu")
        caller.press("1")
        await caller.hears("<2.2 s>")
        caller.hang_up()

    perform(play)


@pytest.mark.parametrize(
    ("called", "parameters", "said"), [("conference", [], "noconference"), ("701", ["701"], "notavailable")]
)
def test_other_functions_of_the_centre(called: str, parameters: list[str], said: str) -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("pbx", "pbx", called=called, parameters=parameters)
        await caller.ended()
        assert caller.transcript == f"= answered\n< {said}\n< goodbye\n= over"

    perform(play)
