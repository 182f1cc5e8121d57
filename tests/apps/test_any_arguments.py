"""Whatever a program gives to a host built-in, the answer is a value: wrong arguments never break the host."""

from __future__ import annotations

import random

import pytest

from apps.roster import verbs
from apps.verbs.verb import Arguments, Verb
from base.values.kinds import PAST, Dictionary, NetAddress, TimeStamp, Value, XmlElement
from tests.apps.stage import Stage, perform
from tests.apps.stage_leg import StageLeg

VERBS = sorted(verbs(), key=lambda verb: verb.name)


def anything(dice: random.Random, task: Value, box: Value) -> Value:
    text = "".join(dice.choice('a1@.;<>"\\/~%\r\n\0*#ü\udcff☎') for _ in range(dice.randrange(12)))
    simple: list[Value] = [
        None, "", text, "bob", "alice@tandem.test", "sip:201@tandem.test", "Seen,Deleted", "mailprompt.wav", "INBOX",
        "YES", 0, -1, 3, 2**63 - 1, -(2**63), b"", b"RIFF", PAST, TimeStamp(1), NetAddress("1.2.3.4"),
        XmlElement("x"), task, box,
    ]  # fmt: skip
    value = dice.choice(simple)
    match dice.randrange(8):
        case 0:
            return [dice.choice(simple) for _ in range(3)]
        case 1:
            keys = [
                "",
                "To",
                "From",
                "body",
                "fileName",
                "position",
                "limit",
                "what",
                "sender",
                "responseCode",
                "flags",
            ]
            return Dictionary([(dice.choice(keys), dice.choice(simple)) for _ in range(4)])
        case _:
            return value


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_answers_with_a_value(verb: Verb) -> None:
    async def play(stage: Stage) -> None:
        stage.program("wait.sppr", "entry Main is Void(AcceptCall()); loop x = ReadInput(3600); end; end;")
        stage.program("idle.sppr", "entry Main is loop x = ReadInput(3600); end; end;")
        box = next(v for v in VERBS if v.name == "OpenMailbox")
        dice = random.Random(verb.name)
        legs: list[StageLeg] = []
        for program in ("wait", "idle"):
            legs.append(stage.call(program, "bob", "alice"))
        await legs[0].told("= answered")
        for task in stage.host.running:
            assert box.later is not None
            opened = await box.later(task, Arguments(("INBOX",)))
            task.options.interrupt_on_digit = True
            for _ in range(40):
                task.leg_digit("1")  # Whatever would play or record is cut at once.
                values = [anything(dice, task.handle, opened) for _ in range(dice.randint(verb.least, verb.most))]
                if verb.name in ("ReadInput", "StartBridge"):
                    values = [2, *values[1:]]
                if verb.now is not None:
                    answer = verb.now(task, Arguments(tuple(values)))
                else:
                    assert verb.later is not None
                    answer = await verb.later(task, Arguments(tuple(values)))
                assert answer is None or not isinstance(answer, bool)

    perform(play)
