"""Built-ins for numbers, network addresses and datablocks."""

from __future__ import annotations

import re

from base.values import NetAddress, Value, wrap
from cgpl.builtins.arguments import flag
from cgpl.builtins.table import Builtin
from cgpl.diagnostics import ProgramFault
from cgpl.runtime import Task

_LEADING = re.compile(r"[ \t]*([-+]?)([0-9]{1,40})")


def is_number(_: Task, value: Value) -> Value:
    return flag(isinstance(value, int))


def number(_: Task, value: Value) -> Value:
    """A number itself, the leading digits of a string, else 0."""
    if isinstance(value, int):
        return value
    match = _LEADING.match(value) if isinstance(value, str) else None
    if match is None:
        return 0
    return wrap(int(match.group(1) + match.group(2)))


def random_number(task: Task) -> Value:
    return int.from_bytes(task.host.octets(8)) >> 1


def is_ip_address(_: Task, value: Value) -> Value:
    return flag(isinstance(value, NetAddress))


def ip_address(_: Task, value: Value) -> Value:
    if isinstance(value, NetAddress):
        return value
    if not isinstance(value, str):
        return None
    try:
        return NetAddress.parse(value)
    except ValueError:
        return None


def is_data(_: Task, value: Value) -> Value:
    return flag(isinstance(value, bytes))


def random_data(task: Task, count: Value) -> Value:
    if not isinstance(count, int) or not 1 <= count <= 4096:
        raise ProgramFault("RandomData takes a number from 1 to 4096")
    return task.host.octets(count)


def empty_data(_: Task) -> Value:
    return b""


BUILTINS = (
    Builtin("IsNumber", "F", 1, 1, is_number),
    Builtin("Number", "F", 1, 1, number),
    Builtin("RandomNumber", "F", 0, 0, random_number),
    Builtin("IsIPAddress", "F", 1, 1, is_ip_address),
    Builtin("IPAddress", "F", 1, 1, ip_address),
    Builtin("IsData", "F", 1, 1, is_data),
    Builtin("RandomData", "F", 1, 1, random_data),
    Builtin("EmptyData", "F", 0, 0, empty_data),
)
