"""All built-ins of the PBX environment: the language's own, ours with a host, and the names that nobody answers yet.

Not here: what they do (`cgpl.builtins`, `apps.verbs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apps.running import RunningTask
from apps.verbs import accounts, bridges, calls, events, general, mailboxes, media, storage
from apps.verbs.verb import Arguments, Verb
from base.values.kinds import Value
from cgpl import Builtin, BuiltinTable, ProgramFault, Task
from cgpl.builtins import roster


def verbs() -> Iterator[Verb]:
    """Every host built-in."""
    for module in (accounts, bridges, calls, events, general, mailboxes, media, storage):
        yield from module.VERBS


def waiting_verbs() -> Mapping[str, Verb]:
    """Those that may wait, by lower-case name: the host answers them."""
    return {verb.name.lower(): verb for verb in verbs() if verb.later is not None}


def builtin_table() -> BuiltinTable:
    """The table that programs of the PBX environment are compiled with."""
    return roster.table("pbx", [_builtin(verb) for verb in verbs()])


def _builtin(verb: Verb) -> Builtin:
    if verb.now is None:
        return Builtin(verb.name, verb.kind, verb.least, verb.most, suspends=True, environment=verb.environment)
    now = verb.now

    def function(context: Task, *values: Value) -> Value:
        if not isinstance(context.host, RunningTask):
            raise ProgramFault(f"{verb.name} needs a running task")
        return now(context.host, Arguments(values))

    return Builtin(verb.name, verb.kind, verb.least, verb.most, function, environment=verb.environment)
