"""Tasks, events, meetings and queues (CGPL.html, "Multitasking"; spec: cgpl-builtins §11)."""

from __future__ import annotations

import re

from apps import inputs
from apps.queues import Place
from apps.running import RunningTask, TaskHandle
from apps.verbs.verb import Arguments, Verb, flag
from base.values.kinds import Dictionary, Value, copy_value

_EVENT_NAME = re.compile(r"[A-Za-z][^\x00-\x1f]{0,99}")
_PRIORITY = re.compile(r"[0-9](?:\.[0-9]{1,3})?")
# Limit: a program may wait a day at most for its next input.
_LONGEST_WAIT = 86_400


def this_task(task: RunningTask, args: Arguments) -> Value:
    return task.handle


def is_task(task: RunningTask, args: Arguments) -> Value:
    """True while it runs; the handle of an ended Task is no Task any more."""
    return flag(isinstance(args[0], TaskHandle) and args[0].task is not None)


def send_event(task: RunningTask, args: Arguments) -> Value:
    target, what = args[0], args[1]
    if not isinstance(target, TaskHandle):
        return "NOT_A_TASK"
    if not isinstance(what, str) or not _EVENT_NAME.fullmatch(what):
        return "BAD_EVENT_NAME"
    if target.task is None or target.task.ended:
        return "NO_SUCH_TASK"
    delivered = target.task.event(what, task.handle, copy_value(args[2]))
    return None if delivered else "EVENT_QUEUE_FULL"


async def read_input(task: RunningTask, args: Arguments) -> Value:
    seconds = min(max(args.number(0), 0), _LONGEST_WAIT)
    if not task.inputs and seconds:
        await task.until(lambda: bool(task.inputs), float(seconds))
    return task.inputs.take()


def _tests(name: str, event: str) -> Verb:
    return Verb(name, "F", 1, 1, now=lambda task, args: flag(inputs.is_event(args[0], event)))


# ---- meetings ----


def create_meeting(task: RunningTask, args: Arguments) -> Value:
    return task.services.meetings.create(task.account.id, args.text(0), args.text(1), copy_value(args[2]))


def activate_meeting(task: RunningTask, args: Arguments) -> Value:
    return task.services.meetings.activate(
        task.account.id, args.text(0), args.text(1), task.handle, copy_value(args[2])
    )


def deactivate_meeting(task: RunningTask, args: Arguments) -> Value:
    return task.services.meetings.deactivate(
        task.account.id, args.text(0), args.text(1), task.handle, copy_value(args[2])
    )


def find_meeting(task: RunningTask, args: Arguments) -> Value:
    meeting = task.services.meetings.find(task.account.id, args.text(0), args.text(1))
    if meeting is None:
        return None
    found = Dictionary([("parameter", copy_value(meeting.parameter))])
    if meeting.task is not None:
        found["id"] = meeting.task
    return found


def clear_meeting(task: RunningTask, args: Arguments) -> Value:
    return task.services.meetings.clear(task.account.id, args.text(0), args.text(1))


def remove_meeting(task: RunningTask, args: Arguments) -> Value:
    task.services.meetings.remove(task.account.id, args.text(0), args.text(1))
    return None


# ---- queues ----


def enqueue(task: RunningTask, args: Arguments) -> Value:
    priority = args.text(2) or "1.0"
    if not _PRIORITY.fullmatch(priority):
        return None
    name, parameter = args.text(0), copy_value(args[1])
    return _place(task.services.queues.enqueue(task.account.id, name, task.handle, parameter, float(priority)))


def check_queue(task: RunningTask, args: Arguments) -> Value:
    return _place(task.services.queues.place(task.account.id, args.text(0), task.handle))


def dequeue(task: RunningTask, args: Arguments) -> Value:
    task.services.queues.dequeue(task.account.id, args.text(0), task.handle)
    return None


def read_queue(task: RunningTask, args: Arguments) -> Value:
    entry = task.services.queues.read(task.account.id, args.text(0))
    return None if entry is None else Dictionary([("id", entry.task), ("parameter", entry.parameter)])


def _place(place: Place | None) -> Value:
    if place is None:
        return None
    answer = Dictionary([("length", place.length)])
    if place.position is not None:
        answer["position"] = place.position
    return answer


VERBS = (
    Verb("ThisTask", "F", 0, 0, now=this_task),
    Verb("IsTask", "F", 1, 1, now=is_task),
    Verb("SendEvent", "F", 2, 3, now=send_event),
    Verb("ReadInput", "F", 1, 1, later=read_input),
    _tests("IsDisconnectEvent", inputs.DISCONNECT),
    _tests("IsCallProvisionEvent", inputs.PROVISION),
    _tests("IsCallCompletedEvent", inputs.COMPLETED),
    _tests("IsStartBridgeEvent", inputs.START_BRIDGE),
    _tests("IsBreakBridgeEvent", inputs.BREAK_BRIDGE),
    _tests("IsCallTransferredEvent", inputs.TRANSFERRED),
    _tests("IsCallInfoEvent", inputs.INFO),
    _tests("IsStartTransferEvent", "_startTransfer"),
    _tests("IsInstantMessageEvent", "_instantMessage"),
    _tests("IsXMPPIQEvent", "_xmppIQ"),
    _tests("IsMailboxNotifyEvent", "_mailboxNotify"),
    _tests("IsRegisterReportEvent", "_registerReport"),
    Verb("CreateMeeting", "F", 2, 3, now=create_meeting),
    Verb("ActivateMeeting", "F", 2, 3, now=activate_meeting),
    Verb("DeactivateMeeting", "F", 2, 3, now=deactivate_meeting),
    Verb("FindMeeting", "F", 2, 2, now=find_meeting),
    Verb("ClearMeeting", "F", 2, 2, now=clear_meeting),
    Verb("RemoveMeeting", "F", 2, 2, now=remove_meeting),
    Verb("Enqueue", "F", 1, 3, now=enqueue),
    Verb("CheckQueue", "F", 1, 1, now=check_queue),
    Verb("Dequeue", "P", 1, 1, now=dequeue),
    Verb("ReadQueue", "F", 1, 1, now=read_queue),
)
