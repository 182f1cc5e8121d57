"""Runs programs: one asyncio task for each CG/PL Task, bounded in number, every one owned and ended here.

Implements `pbx.programs.Programs`. Not here: the language, what the verbs do, and how calls are made. A program that
fails ends alone: its caller hears the failure prompt, the log has file and line, other calls go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from apps.recovery import Recovery
from apps.roster import builtin_table, waiting_verbs
from apps.running import RunningTask, TaskHandle
from apps.services import Services
from apps.submission import VoicePost
from apps.verbs.verb import Arguments
from base.failures import Failure
from base.log import get_logger
from base.values.kinds import Dictionary, Value, copy_value
from cgpl import CompileError, Finished, HostCall, Limits, Program, ProgramCache, ProgramError, Slice, Task
from directory.model import Account
from pbx.mediaproxy.engine import Clip
from pbx.programs import LegMode, ProgramLeg

_log = get_logger("apps.host")

# Limit: Tasks of one server, and Tasks started by one Task.
MAX_TASKS = 2000
MAX_CHILDREN = 50
# Limit: how long a Task may go on after its caller has left; enough to send what was recorded.
LINGER = 600.0
# Limit: statements that a program may run without waiting for anything: about two seconds of work.
LIMITS = Limits(slice_steps=10_000, budget=20_000_000)
# How long close() lets programs finish what they do.
GRACE = 3.0


def program_cache() -> ProgramCache:
    """Compiled programs with the built-ins of this host."""
    return ProgramCache(builtin_table())


class _Modules:
    """The external modules that one Task sees: those of its domain and language, as they were at first use."""

    def __init__(self, host: ApplicationHost, task: RunningTask) -> None:
        self._host = host
        self._task = task

    def module(self, name: str) -> Program | None:
        return self._host.compiled(f"{name}.sppi", self._task.account.domain, self._task.language)


class ApplicationHost:
    """The Tasks of one server."""

    def __init__(self, services: Services, *, limit: int = MAX_TASKS, programs: ProgramCache | None = None) -> None:
        """`programs`: what is compiled already, by `program_cache`, when it is to outlive this host."""
        self.services = services
        self._limit = limit
        self._verbs = waiting_verbs()
        self._programs = programs or program_cache()
        self._tasks: dict[RunningTask, asyncio.Task[None]] = {}
        self._children: dict[RunningTask, int] = {}
        self._closing = False
        services.metrics.gauge("apps.tasks", lambda: len(self._tasks))

    # ---- starting ----

    def start(self, program: str, parameters: Sequence[str], account: Account, leg: ProgramLeg) -> None:
        """See `Programs.start`. Raises Failure("not-found" | "full")."""
        language = str(self.services.people.setting(account.id, "Language") or "")
        if self.services.environment.find(f"{program}.sppr", domain=account.domain, language=language) is None:
            raise Failure("not-found", "no such application", private=program[:100])
        task = self._new_task(program.lower(), account, account, leg)
        start = Dictionary([("startParameter", list(parameters) or None)]) if parameters else Dictionary()
        self._run(task, lambda: self._main(task, start))

    def sound(self, name: str, account: Account | None) -> Clip | None:
        """A prompt as programs of that account play it; of nobody's, the one that came with Tandem."""
        language = "" if account is None else str(self.services.people.setting(account.id, "Language") or "")
        domain = "" if account is None else account.domain
        found = self.services.environment.find_sound(name, domain=domain, language=language)
        return None if found is None else Clip(found.path, found.digest)

    def spawn(self, parent: RunningTask, program: object, entry: str, parameter: Value) -> TaskHandle | None:
        """A Task of the same file with a leg of its own; None when there are too many."""
        if not isinstance(program, Program) or self._children.get(parent, 0) >= MAX_CHILDREN:
            return None
        try:
            leg = self.services.legs.new_leg(parent.account, parent.leg)
            task = self._new_task(parent.program, parent.home, parent.account, leg)
        except Failure as failure:
            parent.log_to.warning("cannot_spawn", reason=str(failure))
            return None
        self._children[parent] = self._children.get(parent, 0) + 1
        start = Dictionary([("startParameter", copy_value(parameter))])
        self._run(task, lambda: Task(program, entry, host=task, loader=_Modules(self, task), vars=start, limits=LIMITS))
        return task.handle

    def compiled(self, file: str, domain: str, language: str) -> Program | None:
        """A program or module of the environment; None when there is none. Raises CompileError."""
        found = self.services.environment.find(file, domain=domain, language=language)
        return None if found is None else self._programs.compile(found.path.read_bytes(), found.name)

    def _main(self, task: RunningTask, start: Dictionary) -> Task:
        program = self.compiled(f"{task.program}.sppr", task.account.domain, task.language)
        if program is None:
            raise Failure("not-found", "the application has gone")
        return Task(program, "main", host=task, loader=_Modules(self, task), vars=start, limits=LIMITS)

    def _new_task(self, program: str, home: Account, account: Account, leg: ProgramLeg) -> RunningTask:
        if self._closing or len(self._tasks) >= self._limit:
            raise Failure("full", "too many applications are running", temporary=True)
        number = self.services.entropy.token(8)
        call_id = leg.request.call_id if leg.request is not None else None
        log = _log.bind(task=number, program=program, account=home.address, call_id=call_id)
        task = RunningTask(self.services, self, number=number, program=program, account=home, leg=leg, log=log)
        task.account = account
        return task

    def _run(self, task: RunningTask, make: Callable[[], Task]) -> None:
        self.services.metrics.count("apps.tasks.started")
        runner = asyncio.get_running_loop().create_task(self._live(task, make), name=f"task {task.handle.number}")
        self._tasks[task] = runner
        task.on_hangup = lambda: self._linger(task)

    # ---- living ----

    async def _live(self, task: RunningTask, make: Callable[[], Task]) -> None:
        """A Task from its beginning to its end, whatever happens in it."""
        lost = True
        try:
            await self._step(task, make())
            lost = False
        except asyncio.CancelledError:
            if self._closing:
                task.recordings.clear()  # They stay on disk for the next start.
            task.log_to.warning("cancelled")
        except (ProgramError, CompileError) as error:
            self._report(task, error)
            await self._apologise(task)
        except Exception:  # The application host: one program's trouble is nobody else's.
            self.services.metrics.count("apps.tasks.broken")
            task.log_to.exception("broken")
            await self._apologise(task)
        finally:
            await self._end(task, lost)

    async def _step(self, task: RunningTask, machine: Task) -> None:
        try:
            outcome = machine.resume()
            while not isinstance(outcome, Finished):
                if isinstance(outcome, Slice):
                    await asyncio.sleep(0)
                    outcome = machine.resume()
                    continue
                task.waited = False
                answer = await self._answer(task, outcome)
                if not task.waited:
                    await asyncio.sleep(0)
                outcome = machine.resume(answer, waited=task.waited)
        finally:
            machine.close()

    async def _answer(self, task: RunningTask, call: HostCall) -> Value:
        if call.name == "spawn":
            entry, value = call.args
            return self.spawn(task, call.program, str(entry), value)
        verb = self._verbs.get(call.name)
        if verb is None or verb.later is None:
            return "NOT_SUPPORTED"
        return await verb.later(task, Arguments(call.args))

    # ---- ending ----

    def _report(self, task: RunningTask, error: ProgramError | CompileError) -> None:
        self.services.metrics.count("apps.tasks.failed")
        if isinstance(error, ProgramError):
            task.log_to.error("program_failed", file=error.file, line=error.line, message=error.message)
        else:
            first = error.diagnostics[0]
            task.log_to.error("program_invalid", file=first.filename, line=first.line, message=first.message)

    async def _apologise(self, task: RunningTask) -> None:
        """The caller hears that something went wrong; a call not yet answered is answered for it."""
        leg, clip = task.leg, self.sound("failure", task.account)
        try:
            async with asyncio.timeout(15.0):
                if task.bridged_with is not None:
                    task.bridged_with = None
                    leg.unbridge()
                if leg.mode in (LegMode.INCOMING, LegMode.PROVISIONED):
                    await leg.accept()
                task.inputs.clear()
                task.options.interrupt_on_digit = False
                if clip is not None and leg.mode is LegMode.CONNECTED:
                    await task.play(lambda offset: leg.play(clip))
        except (TimeoutError, Failure):
            task.log_to.info("failure_not_heard")

    async def _end(self, task: RunningTask, lost: bool) -> None:
        task.ended = True
        task.on_end()
        self._tasks.pop(task, None)
        self._children.pop(task, None)
        self.services.meetings.leave(task.handle)
        self.services.queues.leave(task.handle)
        if task.leg.mode is not LegMode.DISCONNECTED or task.calling:
            task.leg.disconnect()
        task.handle.task = None
        for other in self._tasks:
            if other.offer is not None and other.offer.target is task:
                other.changed()
        await asyncio.shield(self._tidy(task, lost))

    async def _tidy(self, task: RunningTask, lost: bool) -> None:
        """What a program recorded and did not send goes, unless it was a message and the program or delivery failed."""
        recovery = self._recovery()
        for recorded in task.recordings:
            if (lost or recorded.note.id in task.owed) and recorded.note.deliver:
                await recovery.deliver(recorded.note)
            else:
                await self.services.spool.discard(recorded.note)
        await task.release()

    def _linger(self, task: RunningTask) -> None:
        def over() -> None:
            runner = self._tasks.get(task)
            if runner is not None and task.leg.mode is LegMode.DISCONNECTED:
                task.log_to.warning("lingers", seconds=LINGER)
                runner.cancel()

        task.on_end = self.services.clock.call_later(LINGER, over).cancel

    # ---- the whole ----

    def _recovery(self) -> Recovery:
        services = self.services
        post = VoicePost(services.post, services.spool, services.wave)
        return Recovery(services.spool, services.wave, services.people, post, services.metrics)

    async def recover(self) -> int:
        """Deliver what an earlier run had recorded and not sent; returns how many messages. Call it once, early."""
        await self.services.clips.clear()
        return await self._recovery().run()

    async def warm(self) -> None:
        """Compile the server's programs, so that the first call need not wait, and tell of those that are wrong."""
        for file in self.services.environment.visible(endings=(".sppr", ".sppi")):
            try:
                self.compiled(file.name, "", "")
            except CompileError as error:
                first = error.diagnostics[0]
                _log.error("program_invalid", file=first.filename, line=first.line, message=first.message)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Hang up, let the programs finish, then end what is left."""
        self._closing = True
        for task in list(self._tasks):
            task.leg.disconnect()
            task.leg_disconnected()
        runners = list(self._tasks.values())
        if not runners:
            return
        _, left = await asyncio.wait(runners, timeout=GRACE)
        for runner in left:
            runner.cancel()
        if left:
            await asyncio.wait(left)

    @property
    def running(self) -> Sequence[RunningTask]:
        """The Tasks that run now."""
        return tuple(self._tasks)
