"""Mailboxes, messages and sending mail (CGPL.html, "Mailboxes", "Messages"; spec: cgpl-builtins §9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as MAIL_POLICY
from email.utils import getaddresses, parsedate_to_datetime

from apps.ports import MessageFacts
from apps.rights import acts_for
from apps.running import RunningTask
from apps.submission import VoicePost, compose, seconds_of, sound_in
from apps.verbs.verb import Arguments, Verb
from base.failures import Failure
from base.values.kinds import Dictionary, Handle, TimeStamp, Value
from directory.model import Account

_FLAGS = {
    "seen": "\\Seen",
    "read": "\\Seen",
    "answered": "\\Answered",
    "flagged": "\\Flagged",
    "deleted": "\\Deleted",
    "draft": "\\Draft",
    "media": "$Media",
    "redirected": "$Forwarded",
    "forwarded": "$Forwarded",
    "mdnsent": "$MDNSent",
}
_ADDRESS_FIELDS = frozenset({"from", "to", "cc", "bcc", "sender", "reply-to", "return-path"})
# Limit: UIDs of one set, and mailbox listings.
MAX_UIDS = 10_000


class MailboxHandle(Handle):
    """An open mailbox."""

    __slots__ = ("account", "name")

    class_name = "STMailbox"

    def __init__(self, account: Account, name: str) -> None:
        self.account = account
        self.name = name

    def describe(self) -> str:
        return self.name


class MessageHandle(Handle):
    """An open message, parsed."""

    __slots__ = ("message",)

    class_name = "STMessage"

    def __init__(self, message: EmailMessage) -> None:
        self.message = message


async def open_mailbox(task: RunningTask, args: Arguments) -> Value:
    """A handle, or an error-code string. `~account/mailbox` is another account's, for who may act for it."""
    name, account = args.text(0), task.account
    if name.startswith("~"):
        other, _, name = name[1:].partition("/")
        local, _, domain = other.partition("@")
        found = task.people.find_account(domain or task.account.domain, local)
        if found is None or not acts_for(task, found):
            return "NO_SUCH_MAILBOX"
        account = found
    if not _printable(name):
        return "NO_SUCH_MAILBOX"
    try:
        await task.services.letters.listing(account.id, name)
    except Failure:
        return "NO_SUCH_MAILBOX"
    return MailboxHandle(account, name)


def _printable(name: str) -> bool:
    """Strings of programs may hold any octets; names of mailboxes may not."""
    return name.isprintable() and not name.startswith("~")


async def mailbox_uids(task: RunningTask, args: Arguments) -> Value:
    """UIDs, oldest first, of the messages that have all flags named: `Unseen,Undeleted,Media`."""
    tests = [_flag_test(word.strip().lower()) for word in args.text(1).split(",") if word.strip()]
    found: list[Value] = []
    for facts in await _listing(task, args[0]):
        if len(found) < MAX_UIDS and all(test(facts) for test in tests):
            found.append(facts.uid)
    return found


def _flag_test(word: str) -> Callable[[MessageFacts], bool]:
    for prefix in ("", "un", "not"):
        name = word[len(prefix) :]
        if word.startswith(prefix) and name in _FLAGS:
            return lambda facts: _has(facts, _FLAGS[name]) != bool(prefix)
    return lambda facts: False


def _has(facts: MessageFacts, flag: str) -> bool:
    return flag in facts.flags or (flag == "$Media" and facts.voice)


async def _listing(task: RunningTask, box: Value) -> Sequence[MessageFacts]:
    if not isinstance(box, MailboxHandle):
        return ()
    try:
        return await task.services.letters.listing(box.account.id, box.name)
    except Failure:
        return ()


async def _facts(task: RunningTask, args: Arguments) -> MessageFacts | None:
    uid = args.number(1)
    return next((facts for facts in await _listing(task, args[0]) if facts.uid == uid), None)


async def mailbox_internal_time(task: RunningTask, args: Arguments) -> Value:
    facts = await _facts(task, args)
    return None if facts is None else TimeStamp(int(facts.received.timestamp()))


async def mailbox_flags(task: RunningTask, args: Arguments) -> Value:
    facts = await _facts(task, args)
    if facts is None:
        return None
    names = {"\\Seen": "Seen", "\\Answered": "Answered", "\\Flagged": "Flagged", "\\Deleted": "Deleted"}
    words = [word for flag, word in names.items() if flag in facts.flags]
    return ",".join([*words, "Media"] if facts.voice else words)


async def mailbox_set_flags(task: RunningTask, args: Arguments) -> Value:
    """The flags: a string, an array, or a dictionary with `flags`; `Unseen` and the like take a flag away."""
    box, uids = args[0], _uids(args[1])
    given = args[2]
    if isinstance(given, Dictionary):
        given = given.get("flags")
    words = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    add, remove = [], []
    for word in (str(word).strip().lower() for word in words if isinstance(word, str)):
        if word in _FLAGS:
            add.append(_FLAGS[word])
        elif word.removeprefix("un") in _FLAGS:
            remove.append(_FLAGS[word.removeprefix("un")])
        else:
            return "UNKNOWN_FLAG"
    if not isinstance(box, MailboxHandle):
        return "NOT_A_MAILBOX"
    return await _done(task.services.letters.change_flags(box.account.id, box.name, uids, add=add, remove=remove))


async def mailbox_copy(task: RunningTask, args: Arguments) -> Value:
    """The third argument: the target's name, or a dictionary with targetMailbox and doMove. One account only."""
    box, uids, given = args[0], _uids(args[1]), args.dictionary(2)
    target = given.get("targetMailbox") if given is not None else args[2]
    if not isinstance(box, MailboxHandle) or not isinstance(target, str) or not _printable(target):
        return "BAD_PARAMETERS"
    moves = given is not None and given.get("doMove") is not None
    work = task.services.letters.move if moves else task.services.letters.copy
    return await _done(work(box.account.id, box.name, uids, target))


def _uids(value: Value) -> list[int]:
    """A UID, or an array of UIDs and of (first, last) ranges."""
    if isinstance(value, int):
        return [value]
    found: list[int] = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, int):
            found.append(item)
        elif isinstance(item, list) and len(item) == 2 and isinstance(item[0], int) and isinstance(item[1], int):
            found.extend(range(item[0], min(item[1], item[0] + MAX_UIDS) + 1))
    return found[:MAX_UIDS]


async def _done(work: Awaitable[None]) -> Value:
    """Null when it worked, else an error-code string."""
    try:
        await work
    except Failure as failure:
        return failure.code.upper().replace("-", "_")
    return None


async def mailbox_expunge(task: RunningTask, args: Arguments) -> Value:
    box = args[0]
    if not isinstance(box, MailboxHandle):
        return "NOT_A_MAILBOX"
    return await _done(task.services.letters.expunge(box.account.id, box.name))


async def _message(task: RunningTask, args: Arguments) -> EmailMessage | None:
    box, uid = args[0], args.number(1)
    if not isinstance(box, MailboxHandle):
        return None
    try:
        octets = await task.services.letters.message(box.account.id, box.name, uid)
    except Failure:
        return None
    if octets is None:
        return None
    return message_from_bytes(octets, policy=MAIL_POLICY)


async def mailbox_audio(task: RunningTask, args: Arguments) -> Value:
    """The content of the first audio part, or null."""
    message = await _message(task, args)
    for part in message.walk() if message is not None else ():
        if part.get_content_maintype() == "audio":
            sound = part.get_payload(decode=True)
            return sound if isinstance(sound, bytes) else None
    return None


async def open_message(task: RunningTask, args: Arguments) -> Value:
    message = await _message(task, args)
    return None if message is None else MessageHandle(message)


def message_header(task: RunningTask, args: Arguments) -> Value:
    """The values of a field as an array, null if absent; without a field name, all of them in a dictionary."""
    handle, field = args[0], args.text(2)
    if not isinstance(handle, MessageHandle):
        return None
    if field:
        return _field(handle.message, field) or None
    names = dict.fromkeys(str(name).title() for name in handle.message)
    return Dictionary([(name, _field(handle.message, name)) for name in names])


def _field(message: EmailMessage, field: str) -> list[Value]:
    bare = field[:2].upper() == "E-" and field[2:].lower() in _ADDRESS_FIELDS
    name = field[2:] if bare else field
    values = [str(value) for value in message.get_all(name, [])]
    if name.lower() in _ADDRESS_FIELDS:
        return [_mail_address(shown, address, bare) for shown, address in getaddresses(values)]
    if name.lower() == "date":
        return [date for value in values if (date := _date(value)) is not None]
    return [*values]


def _mail_address(name: str, address: str, bare: bool) -> Value:
    if bare:
        return address
    return Dictionary([("", address), ("realName", name)] if name else [("", address)])


def _date(text: str) -> Value:
    try:
        return TimeStamp(int(parsedate_to_datetime(text).timestamp()))
    except (ValueError, OverflowError):
        return None


# ---- sending ----


async def submit_email(task: RunningTask, args: Arguments) -> Value:
    """Null when delivered. With `Content-Class` `voice` and a recording of this Task the server writes the whole voice
    message (summary, audio, Message-Context, Content-Duration) and delivers it once, even over a crash."""
    headers = args.dictionary(0)
    if headers is None:
        return "BAD_HEADERS"
    sound = sound_in(args[1])
    try:
        if str(headers.get("Content-Class")).lower() == "voice" and sound is not None:
            recorded = task.recorded(sound)
            if recorded is not None:
                return await _send_voice(task, headers, sound)
        return await _send(task, headers, args[1])
    except Failure as failure:
        task.log_to.warning("mail_refused", reason=str(failure))
        return failure.code.upper().replace("-", "_")
    except ValueError as problem:
        task.log_to.warning("mail_refused", reason=str(problem)[:200])
        return "BAD_CONTENT"


async def _send_voice(task: RunningTask, headers: Dictionary, sound: bytes) -> Value:
    to = _one_recipient(task, headers)
    recorded = task.recorded(sound)
    if to is None or recorded is None:
        return "BAD_ADDRESS"
    services = task.services
    task.owed.add(recorded.note.id)
    await VoicePost(services.post, services.spool, services.wave).send(recorded.note, sound, to, seconds_of(sound))
    task.recordings.remove(recorded)
    services.metrics.count("apps.voice_messages")
    return None


def _one_recipient(task: RunningTask, headers: Dictionary) -> Account | None:
    to = headers.get("To")
    local, _, domain = (to if isinstance(to, str) else task.account.address).rpartition("@")
    return task.people.find_account(domain, local)


async def _send(task: RunningTask, headers: Dictionary, content: Value) -> Value:
    fields = {key: value for key, value in headers.items() if isinstance(value, str)}
    fields.setdefault("From", task.account.address)
    recipients = [
        address for _, address in getaddresses([fields.get(key, "") for key in ("To", "Cc", "Bcc")]) if address
    ]
    if not recipients:
        return "NO_RECIPIENT"
    services = task.services
    message = compose(fields, content, domain=task.account.domain, now=services.clock.wall(), entropy=services.entropy)
    await services.post.submit(task.account.address, recipients, message)
    return None


async def send_email(task: RunningTask, args: Arguments) -> Value:
    """SendEMail(from, subject, to, headers, content)."""
    headers = Dictionary([*(given.items() if (given := args.dictionary(3)) is not None else ())])
    for key, index in (("From", 0), ("Subject", 1), ("To", 2)):
        if args.text(index):
            headers[key] = args.text(index)
    return await submit_email(task, Arguments((headers, args[4])))


VERBS = (
    Verb("OpenMailbox", "F", 1, 1, later=open_mailbox),
    Verb("MailboxUIDs", "F", 2, 2, later=mailbox_uids),
    Verb("MailboxInternalTimeByUID", "F", 2, 2, later=mailbox_internal_time),
    Verb("MailboxFlagsByUID", "F", 2, 2, later=mailbox_flags),
    Verb("MailboxSetFlags", "F", 3, 3, later=mailbox_set_flags),
    Verb("MailboxSetFlagsByUID", "F", 3, 3, later=mailbox_set_flags),
    Verb("MailboxCopy", "F", 3, 3, later=mailbox_copy),
    Verb("MailboxCopyByUID", "F", 3, 3, later=mailbox_copy),
    Verb("MailboxExpunge", "F", 1, 1, later=mailbox_expunge),
    Verb("MailboxAudioByUID", "F", 2, 2, later=mailbox_audio),
    Verb("OpenMessage", "F", 2, 2, later=open_message),
    Verb("MessageHeader", "F", 3, 3, now=message_header),
    Verb("SubmitEMail", "F", 2, 2, later=submit_email),
    Verb("SendEMail", "F", 5, 5, later=send_email),
)
