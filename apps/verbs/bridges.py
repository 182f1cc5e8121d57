"""Bridges between the legs of two Tasks (PBXApp.html, "Bridges and Mixers"; spec: cgpl-builtins §14).

One Task offers (StartBridge) and waits; the other reads the start-bridge event and accepts or rejects.
Not here: mixers.
"""

from __future__ import annotations

from apps import inputs
from apps.running import BridgeOffer, RunningTask, TaskHandle
from apps.verbs.verb import Arguments, Verb, flag
from base.values.kinds import Dictionary, Value
from pbx.programs import LegMode

# Limit: how long StartBridge waits for the other Task's word.
PATIENCE = 120.0


async def start_bridge(task: RunningTask, args: Arguments) -> Value:
    target = args[0].task if isinstance(args[0], TaskHandle) else None
    if target is None or target.ended or target is task:
        return "NO_SUCH_TASK"
    if task.leg.mode is LegMode.DISCONNECTED:
        return "NOT_CONNECTED"
    if task.bridged_with is not None:
        return "ALREADY_BRIDGED"
    offer = task.offer = BridgeOffer(target)
    try:
        if not target.event(inputs.START_BRIDGE, task.handle, "audio"):
            return "EVENT_QUEUE_FULL"
        await task.until(lambda: offer.answered or target.ended or task.leg.mode is LegMode.DISCONNECTED, PATIENCE)
    finally:
        task.offer = None
    return offer.error if offer.answered else "NOT_ANSWERED"


async def accept_bridge(task: RunningTask, args: Arguments) -> Value:
    sender = _offered(task, args[0])
    if sender is None or sender.offer is None:
        return "NO_SUCH_OFFER"
    if task.bridged_with is not None:
        return "ALREADY_BRIDGED"
    offer = sender.offer
    error = await task.leg.bridge(sender.leg)
    if error is None and LegMode.DISCONNECTED in (task.leg.mode, sender.leg.mode):
        error = "DISCONNECTED"
    offer.answered, offer.error = True, error
    if error is None:
        task.bridged_with, sender.bridged_with = sender, task
    sender.changed()
    return error


def reject_bridge(task: RunningTask, args: Arguments) -> Value:
    sender = _offered(task, args[0])
    if sender is not None and sender.offer is not None:
        sender.offer.answered, sender.offer.error = True, args.text(1) or "REJECTED"
        sender.changed()
    return None


def break_bridge(task: RunningTask, args: Arguments) -> Value:
    if task.bridged_with is None:
        return "NOT_BRIDGED"
    task.bridged_with = None
    task.leg.unbridge()
    return None


def is_bridged(task: RunningTask, args: Arguments) -> Value:
    return flag(task.bridged_with is not None)


def _offered(task: RunningTask, event: Value) -> RunningTask | None:
    """Who offers this Task a bridge by that event, if he still does."""
    if not isinstance(event, Dictionary) or not inputs.is_event(event, inputs.START_BRIDGE):
        return None
    handle = event.get("sender")
    sender = handle.task if isinstance(handle, TaskHandle) else None
    if sender is None or sender.ended or sender.offer is None:
        return None
    return sender if sender.offer.target is task and not sender.offer.answered else None


VERBS = (
    Verb("StartBridge", "F", 1, 1, later=start_bridge, environment="pbx"),
    Verb("AcceptBridge", "F", 1, 1, later=accept_bridge, environment="pbx"),
    Verb("RejectBridge", "F", 2, 2, now=reject_bridge, environment="pbx"),
    Verb("BreakBridge", "F", 0, 0, now=break_bridge, environment="pbx"),
    Verb("IsBridged", "F", 0, 0, now=is_bridged, environment="pbx"),
)
