"""Built-ins for any value, the task's own dictionary, its language and time zone, and the log."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from base.values import (
    Dictionary,
    Handle,
    NetAddress,
    TimeStamp,
    Value,
    XmlElement,
    copy_value,
    format_value,
    octet_length,
)
from cgpl.builtins.arguments import YES, flag
from cgpl.builtins.table import Builtin
from cgpl.diagnostics import ProgramFault
from cgpl.operators import greater, less
from cgpl.runtime import Task

_LOG_LIMIT = 4096  # Limit: characters of one line that a program logs.


def same(_: Task, left: Value, right: Value) -> Value:
    return flag(left is right or (left == YES and right == YES and isinstance(left, str)))


def copy(task: Task, value: Value) -> Value:
    task.charge(len(value) if isinstance(value, list | Dictionary) else 0)
    return copy_value(value)


def length(_: Task, value: Value) -> Value:
    match value:
        case str():
            return octet_length(value)
        case bytes() | list() | Dictionary():
            return len(value)
        case _:
            # A host's object may know its own length, as a mailbox does.
            measured = getattr(value, "length", None) if isinstance(value, Handle) else None
            return measured if isinstance(measured, int) else 0


def minimum(_: Task, left: Value, right: Value) -> Value:
    return left if less(left, right) else right


def maximum(_: Task, left: Value, right: Value) -> Value:
    return left if greater(left, right) else right


def void(_: Task, value: Value) -> Value:
    return None


def object_class(_: Task, value: Value) -> Value:
    match value:
        case None:
            return None
        case str():
            return "STString"
        case int():
            return "STNumber"
        case bytes():
            return "STData"
        case TimeStamp():
            return "STDate"
        case NetAddress():
            return "STIPAddress"
        case list():
            return "STArray"
        case Dictionary():
            return "STDictionary"
        case XmlElement():
            return "STXML"
        case Handle():
            return value.class_name


def task_vars(task: Task) -> Value:
    return task.vars


def get_language(task: Task) -> Value:
    return task.language


def set_language(task: Task, language: Value) -> Value:
    task.language = language.lower() if isinstance(language, str) and language else None
    return None


def get_time_zone_name(task: Task) -> Value:
    return task.time_zone


def set_time_zone(task: Task, zone: Value) -> Value:
    """An unknown name selects the server's offset."""
    task.time_zone = None
    if isinstance(zone, str):
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None
        task.time_zone = zone
    return None


def log(task: Task, value: Value) -> Value:
    text = value if isinstance(value, str) else written(value)
    task.host.log(text[:_LOG_LIMIT])
    return None


def written(value: Value) -> str:
    """The textual form, or a program exception when it has none."""
    try:
        return format_value(value)
    except ValueError as error:
        raise ProgramFault(str(error)) from None


BUILTINS = (
    Builtin("Same", "F", 2, 2, same),
    Builtin("Copy", "F", 1, 1, copy),
    Builtin("Length", "F", 1, 1, length),
    Builtin("Min", "F", 2, 2, minimum),
    Builtin("Max", "F", 2, 2, maximum),
    Builtin("Void", "P", 1, 1, void),
    Builtin("ObjectClass", "F", 1, 1, object_class),
    # The compiler knows these two; the entries give their arity.
    Builtin("ProcCall", "P", 1, 100, void),
    Builtin("FuncCall", "F", 1, 100, void),
    Builtin("Vars", "F", 0, 0, task_vars),
    Builtin("GetLanguage", "F", 0, 0, get_language),
    Builtin("SetLanguage", "P", 1, 1, set_language),
    Builtin("GetTimeZoneName", "F", 0, 0, get_time_zone_name),
    Builtin("SetTimeZone", "P", 1, 1, set_time_zone),
    Builtin("SysLog", "P", 1, 1, log),
)
