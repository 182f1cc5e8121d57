"""The account's file storage and the application environment's files (spec: cgpl-builtins §7, §10)."""

from __future__ import annotations

from apps.running import RunningTask
from apps.verbs.verb import Arguments, Verb
from base.failures import Failure
from base.values.kinds import Dictionary, TimeStamp, Value, octets
from base.values.text import ValueTextError, parse_value


async def read_file(task: RunningTask, args: Arguments) -> Value:
    """A datablock or null. The dictionary form has fileName, position, limit."""
    given = args.dictionary(0)
    name = given.get("fileName") if given is not None else args[0]
    try:
        content = await task.services.files.read(task.account.id, name) if isinstance(name, str) else None
    except Failure:
        return None
    if content is None or given is None:
        return content
    start, limit = given.get("position"), given.get("limit")
    begin = start if isinstance(start, int) and start >= 0 else 0
    end = begin + limit if isinstance(limit, int) and limit >= 0 else None
    return content[begin:end]


async def write_file(task: RunningTask, args: Arguments) -> Value:
    given = args.dictionary(0)
    name = given.get("fileName") if given is not None else args[0]
    content = _content(args[1])
    if not isinstance(name, str) or content is None:
        return "BAD_PARAMETERS"
    place = given.get("position") if given is not None else None
    try:
        old = await task.services.files.read(task.account.id, name) if place is not None else None
        if place == "new" and old is not None:
            return "FILE_EXISTS"
        if place in ("end", "append"):
            content = (old or b"") + content
        elif isinstance(place, int) and place >= 0:
            content = (
                (old or b"")[:place].ljust(min(place, 2**20), b"\0") + content + (old or b"")[place + len(content) :]
            )
        await task.services.files.write(task.account.id, name, content)
    except Failure as failure:
        return _code(failure)
    return None


async def append_file(task: RunningTask, args: Arguments) -> Value:
    target = Dictionary([("fileName", args[0]), ("position", "end")])
    return await write_file(task, Arguments((target, args[1])))


async def delete_file(task: RunningTask, args: Arguments) -> Value:
    try:
        await task.services.files.remove(task.account.id, args.text(0))
    except Failure as failure:
        return _code(failure)
    return None


async def list_files(task: RunningTask, args: Arguments) -> Value:
    try:
        files = await task.services.files.list(task.account.id, args.text(0))
    except Failure:
        return None
    return Dictionary(
        [
            (name, Dictionary([("STFileSize", size), ("STModified", TimeStamp(int(changed)))]))
            for name, (size, changed) in files.items()
        ]
    )


def _content(value: Value) -> bytes | None:
    return value if isinstance(value, bytes) else octets(value) if isinstance(value, str) else None


def _code(failure: Failure) -> str:
    return failure.code.upper().replace("-", "_")


def read_environment_file(task: RunningTask, args: Arguments) -> Value:
    return task.services.environment.read(args.text(0), domain=task.account.domain, language=task.language)


def read_environment_object(task: RunningTask, args: Arguments) -> Value:
    content = task.services.environment.read(args.text(0), domain=task.account.domain, language=task.language)
    try:
        return None if content is None else parse_value(content)
    except ValueTextError:
        return None


def _both(name: str, most: int, verb: Verb) -> tuple[Verb, ...]:
    """`Site` names are older words for `Storage` ones."""
    return tuple(
        Verb(name.replace("Storage", word), verb.kind, verb.least, most, later=verb.later)
        for word in ("Storage", "Site")
    )


VERBS = (
    *_both("ReadStorageFile", 1, Verb("", "F", 1, 1, later=read_file)),
    *_both("WriteStorageFile", 2, Verb("", "F", 2, 2, later=write_file)),
    *_both("AppendStorageFile", 2, Verb("", "F", 2, 2, later=append_file)),
    *_both("DeleteStorageFile", 1, Verb("", "F", 1, 1, later=delete_file)),
    *_both("ListStorageFiles", 1, Verb("", "F", 1, 1, later=list_files)),
    Verb("ReadEnvirFile", "F", 1, 1, now=read_environment_file),
    Verb("ReadEnvirObject", "F", 1, 2, now=read_environment_object),
)
