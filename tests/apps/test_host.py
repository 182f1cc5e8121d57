"""The host: a failing program ends alone and is told, a loop is stopped, numbers are bounded, nothing stays."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from apps import host as host_module
from apps.host import ApplicationHost
from base.failures import Failure
from pbx.programs import Programs
from tests.apps.stage import Stage, perform


def implements(host: ApplicationHost) -> Programs:
    return host


def test_a_script_error_is_told_logged_and_ends_alone() -> None:
    async def play(stage: Stage) -> None:
        stage.program("broken.sppr", "entry Main is\n  Void(AcceptCall());\n  x = 1 / 0;\nend;\n")
        other = stage.call("voicemail", "bob")
        await other.told("= records")
        with structlog.testing.capture_logs() as logs:
            caller = stage.call("broken", "bob")
            await caller.ended()
        assert caller.transcript == "= answered\n< failure\n= over"
        [entry] = [log for log in logs if log["event"] == "program_failed"]
        assert (entry["file"], entry["line"], entry["call_id"]) == ("broken.sppr", 3, "call-1")
        await asyncio.sleep(3)
        other.hang_up()
        await asyncio.sleep(1)
        assert len(await stage.inbox("bob")) == 1

    perform(play)


def test_a_program_that_fails_unanswered_or_does_not_compile() -> None:
    async def play(stage: Stage) -> None:
        stage.program("early.sppr", "entry Main is x = 1 / 0; end;")
        stage.program("wrong.sppr", "entry Main is\n x = ;\nend;")
        stage.program("nomodule.sppr", "procedure nobody() external; entry Main is nobody(); end;")
        for name in ("early", "wrong", "nomodule"):
            caller = stage.call(name, "bob")
            await caller.ended()
            assert caller.transcript == "= answered\n< failure\n= over"
        assert stage.metrics.value("apps.tasks.failed") == 3

    perform(play)


def test_unknown_programs_are_refused() -> None:
    async def play(stage: Stage) -> None:
        for name in ("nothing", "../voicemail", "voicemail.sppr", ""):
            with pytest.raises(Failure, match="no such application"):
                stage.call(name, "bob")

    perform(play)


@pytest.mark.parametrize("body", ["loop x = 1; end;", "loop x = ReadInput(0); end;", "loop PlayFile(`welcome`); end;"])
def test_an_endless_program_is_stopped_and_others_go_on(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "LIMITS", host_module.Limits(slice_steps=1000, budget=50_000))

    async def play(stage: Stage) -> None:
        # Without AcceptCall nothing can be played: PlayFile returns at once.
        stage.program("endless.sppr", f"entry Main is {body.replace('`', chr(34))} end;")
        caller, turns = stage.call("endless", "bob"), 0
        while not stage.metrics.value("apps.tasks.failed"):
            turns += 1
            await asyncio.sleep(0)
        await caller.ended()
        assert turns > 20

    perform(play)


def test_the_number_of_tasks_is_bounded() -> None:
    async def play(stage: Stage) -> None:
        stage.host = ApplicationHost(stage.services, limit=2)
        callers = [stage.call("voicemail", "bob") for _ in range(2)]
        with pytest.raises(Failure) as refusal:
            stage.call("voicemail", "bob")
        assert refusal.value.code == "full"
        for caller in callers:
            caller.hang_up()
        await asyncio.sleep(1)
        stage.call("voicemail", "bob").hang_up()
        await asyncio.sleep(1)

    perform(play)


def test_the_number_of_children_is_bounded() -> None:
    async def play(stage: Stage) -> None:
        stage.program(
            "fork.sppr",
            """entry child is Void(ReadInput(100)); end;
            entry Main is
              count = 0;
              loop
                task = spawn child(count);
                exitif task == null;
                count += 1;
              end loop;
              SetApplicationStatus(count);
              Void(ReadInput(50));
            end;""",
        )
        stage.call("fork", "bob")
        await asyncio.sleep(1)
        assert [task.status for task in stage.host.running if task.status] == [host_module.MAX_CHILDREN]
        await stage.host.close()
        assert stage.host.running == ()

    perform(play)


def test_a_new_prompt_and_a_new_program_are_for_the_next_call() -> None:
    async def play(stage: Stage) -> None:
        stage.program("hello.sppr", 'entry Main is Void(AcceptCall()); PlayFile("welcome"); PlayFile("welcome"); end;')
        first = stage.call("hello", "bob")
        await first.hears("welcome")
        stage.program("hello.sppr", 'entry Main is Void(AcceptCall()); PlayFile("goodbye"); end;')
        await first.hears("welcome")
        await first.ended()
        second = stage.call("hello", "bob")
        await second.ended()
        assert second.transcript == "= answered\n< goodbye\n= over"

    perform(play)


def test_who_lingers_after_the_call_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage) -> None:
        stage.program("linger.sppr", "entry Main is Void(AcceptCall()); loop Void(ReadInput(10)); end; end;")
        caller = stage.call("linger", "bob")
        await caller.told("= answered")
        caller.hang_up()
        await asyncio.sleep(host_module.LINGER - 1)
        assert len(stage.host.running) == 1
        await asyncio.sleep(2)
        assert stage.host.running == ()

    perform(play)


def test_closing_lets_a_message_be_sent() -> None:
    async def play(stage: Stage) -> None:
        caller = stage.call("voicemail", "bob")
        await caller.told("= records")
        await asyncio.sleep(5)
        await stage.host.close()
        assert len(await stage.inbox("bob")) == 1
        with pytest.raises(Failure):
            stage.call("voicemail", "bob")

    perform(play)


def test_a_missing_prompt_is_silent_and_logged() -> None:
    async def play(stage: Stage) -> None:
        stage.program("silent.sppr", 'entry Main is Void(AcceptCall()); PlayFile("nothing"); PlayFile("Welcome"); end;')
        caller = stage.call("silent", "bob")
        await caller.ended()
        assert caller.transcript == "= answered\n< welcome\n= over"
        assert stage.metrics.value("apps.prompts.missing") == 1

    perform(play)


def test_warming_up_tells_of_programs_that_are_wrong() -> None:
    async def play(stage: Stage) -> None:
        stage.program("wrong.sppi", "procedure wrong() is\n x = ;\nend;")
        with structlog.testing.capture_logs() as logs:
            await stage.host.warm()
        assert [(log["file"], log["line"]) for log in logs if log["event"] == "program_invalid"] == [("wrong.sppi", 2)]

    perform(play)
