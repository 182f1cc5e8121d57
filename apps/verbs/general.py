"""Language, log and status of a Task (spec: cgpl-builtins §7)."""

from __future__ import annotations

from apps.environment import DEFAULT_LANGUAGE
from apps.running import RunningTask
from apps.verbs.verb import Arguments, Verb
from base.values.kinds import Value
from base.values.text import format_value


def get_language(task: RunningTask, args: Arguments) -> Value:
    return task.language or None


def set_language(task: RunningTask, args: Arguments) -> Value:
    """Null selects the default."""
    language = args.text(0).lower()
    task.language = "" if language == DEFAULT_LANGUAGE else language[:40]
    return None


def sys_log(task: RunningTask, args: Arguments) -> Value:
    value = args[0]
    task.log(value if isinstance(value, str) else format_value(value))
    return None


def set_application_status(task: RunningTask, args: Arguments) -> Value:
    task.status = args[0]
    return None


def get_application_status(task: RunningTask, args: Arguments) -> Value:
    return task.status


def nothing(task: RunningTask, args: Arguments) -> Value:
    """Accepted, and without effect here."""
    return None


VERBS = (
    Verb("GetLanguage", "F", 0, 0, now=get_language),
    Verb("SetLanguage", "P", 1, 1, now=set_language),
    Verb("SysLog", "P", 1, 1, now=sys_log),
    Verb("SysProfile", "P", 1, 1, now=nothing),
    Verb("SetApplicationStatus", "P", 1, 1, now=set_application_status),
    Verb("GetApplicationStatus", "F", 0, 1, now=get_application_status),
)
