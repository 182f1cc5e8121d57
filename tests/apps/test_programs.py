"""The stock programs as files: they compile without a warning, and every prompt that they name is there; and programs
as third parties write them run on the stock modules."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import apps
from apps.roster import builtin_table
from cgpl import compile_program
from tests.apps.stage import DOMAIN, Stage, perform
from tools.prompts import ENGLISH, read_manifest

FILES = sorted(Path(apps.__file__).parent.glob("*/*.spp[ri]"))
TABLE = builtin_table()
_PROMPT = re.compile(r"(?:PlayFile|readPin)\(([^;]*?)\);", re.DOTALL)
_LITERAL = re.compile(r'"([A-Za-z0-9-]*)"')


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_compiles_without_a_warning(file: Path) -> None:
    program = compile_program(file.read_bytes(), file.name, TABLE)
    assert program.warnings == ()
    there = {other.stem for other in FILES if other.suffix == ".sppi"}
    assert {external.module for external in program.externals} <= there


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_prompt_is_there(file: Path) -> None:
    names = set(read_manifest(ENGLISH).names())
    for call in _PROMPT.findall(file.read_text("utf-8")):
        for literal in _LITERAL.findall(call):
            known = literal in names or literal in ("for", "mailprompt", "", "486", "600", "603", "1")
            assert known, f"{file.name} plays {literal}"


def test_prompts_for_every_name_that_the_language_makes() -> None:
    names = set(read_manifest(ENGLISH).names())
    assert {"sun", "mon", "tue", "wed", "thu", "fri", "sat"} <= names
    assert {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"} <= names


@pytest.mark.parametrize(
    ("number", "spoken"),
    [
        ("0", "0"),
        ("7", "7"),
        ("20", "20"),
        ("21", "20 1"),
        ("100", "1 hundred"),
        ("342", "3 hundred 40 2"),
        ("12015", "12 thousand 15"),
        ("-5", "minus 5"),
        ('"13"', "13"),
    ],
)
def test_numbers_are_spoken(number: str, spoken: str) -> None:
    async def play(stage: Stage) -> None:
        stage.program(
            "say.sppr",
            f"procedure playNumber(n) external; entry Main is Void(AcceptCall()); playNumber({number}); end;",
        )
        caller = stage.call("say", "bob")
        await caller.ended()
        assert [line[2:] for line in caller.heard if line.startswith("< ")] == spoken.split()

    perform(play)


# A caller waits with music; an agent calls in and takes the first one. Both dialects, method calls, early ringing.
QUEUE = """
function isAgent(address) { return address == "alice@tandem.test"; }

procedure waitForAgent() {
  place = Enqueue("hot", RemoteURI());
  loop {
    PlayFile("QueuePosition"); PlayFile(String(place.position + 1));
    PlayFileInLoop("HoldMusic", 15000);
    input = ReadInput(0);
    exitif IsStartBridgeEvent(input) || IsDisconnectEvent(input) || input == "#";
    PlayFile("ThankYouForWaiting");
    place = CheckQueue("hot");
  }
  Dequeue("hot");
  if (IsStartBridgeEvent(input)) {
    bridgedLoop(input);
  }
}
"""
QUEUE_MAIN = f"""
procedure bridgedLoop(event) external;
{QUEUE}
entry Main is
  Void(AcceptCall());
  if isAgent(RemoteAuthentication()) then
    loop
      first = ReadQueue("hot");
      exitif first == null;
      if StartBridge(first.id) == null then
        loop
          input = ReadInput(3600);
          exitif input == "#" || IsBreakBridgeEvent(input) || IsDisconnectEvent(input);
        end loop;
        Void(BreakBridge());
      end if;
    end loop;
    PlayFile("NoWaitingCalls");
  else
    waitForAgent();
  end if;
end;
"""


def test_a_queue_with_an_agent() -> None:
    async def play(stage: Stage) -> None:
        stage.program("hotline.sppr", QUEUE_MAIN)
        customer = stage.call("hotline", "pbx")
        await customer.hears("queueposition")
        await customer.hears("1")
        await customer.hears("thankyouforwaiting")
        second = stage.call("hotline", "pbx")
        await second.hears("2")
        agent = stage.call("hotline", "pbx", "alice")
        await agent.told("= bridged with caller")
        await asyncio.sleep(20)
        customer.hang_up()
        await agent.told("= bridged with caller")
        agent.press("#")
        await agent.hears("nowaitingcalls")
        await agent.ended()
        await second.ended()

    perform(play)


# Calls out while the caller's own phone rings, comes back to him on "#", and bridges again.
RELAY = """
function callerLeg(params, pending) external;
function callerLegBridge(params, leg) external;
function bridgedLoopHash(leg) external;
entry Main is
  params = NewDictionary();
  params.("") = "sip:alice@DOMAIN;services=no";
  params.Expires = 15;
  leg = callerLeg(params, true);
  if !IsTask(leg) then RejectCall(leg); stop; end if;
  if bridgedLoopHash(leg) == "#" then
    Void(BreakBridge());
    PlayFile("pleasestandby");
    if callerLegBridge(params, leg) == null then Void(bridgedLoopHash(leg)); end if;
    Void(SendEvent(leg, "stop", null));
  end if;
end;
""".replace("DOMAIN", DOMAIN)


def test_a_pending_caller_is_answered_by_the_bridge_and_can_come_back() -> None:
    async def play(stage: Stage) -> None:
        stage.program("relay.sppr", RELAY)
        caller = stage.call("relay", "pbx")
        alice = await stage.next_call()
        alice.rings()
        await caller.told("= 180")
        alice.answered()
        await caller.told("= bridged with leg 1")
        assert caller.heard.index("= answered") > caller.heard.index("= 180")
        caller.press("#")
        await caller.hears("pleasestandby")
        await alice.hears("holdmusic")
        await caller.told("= bridged with leg 1")
        caller.press("#")
        await alice.ended()
        await caller.ended()
        assert stage.host.running == ()

    perform(play)


def test_a_refusal_reaches_the_pending_caller() -> None:
    async def play(stage: Stage) -> None:
        stage.program("relay.sppr", RELAY)
        caller = stage.call("relay", "pbx")
        (await stage.next_call()).refused("486 Busy Here")
        await caller.told("= rejected 486")
        assert stage.host.running == ()

    perform(play)


def test_the_callee_hanging_up_after_coming_back_ends_all() -> None:
    async def play(stage: Stage) -> None:
        stage.program("relay.sppr", RELAY)
        caller = stage.call("relay", "pbx")
        alice = await stage.next_call()
        alice.answered()
        await caller.told("= bridged with leg 1")
        alice.hang_up()
        await caller.ended()
        assert stage.host.running == ()

    perform(play)
