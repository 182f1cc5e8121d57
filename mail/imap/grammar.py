"""From one whole command to its value (RFC 3501 §9 `command`), tag already taken."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from mail.imap import commands as c
from mail.imap.grammar_fetch import fetch_items
from mail.imap.grammar_search import search_key
from mail.imap.lexer import BadCommand, Lexer, bad
from mail.store.model import FlagAction

_STATUS_ITEMS = frozenset({"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE"})
_SELECT_OPTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE"})
_ACTIONS = {"FLAGS": FlagAction.REPLACE, "+FLAGS": FlagAction.ADD, "-FLAGS": FlagAction.REMOVE}


def parse(octets: bytes) -> tuple[str, c.Command]:
    """The tag and the command. Raises BadCommand; Failure("invalid") for a mailbox name that is none."""
    lexer = Lexer(octets)
    lexer.tag()
    tag = octets[: lexer.at].decode()
    lexer.space()
    verb = lexer.keyword()
    uid = verb == "UID"
    if uid:
        lexer.space()
        verb = lexer.keyword()
    command = _command(lexer, verb, uid)
    lexer.end()
    return tag, command


def tag_of(octets: bytes) -> str | None:
    """The tag of a line that may be no command at all."""
    try:
        return Lexer(octets).tag()
    except BadCommand:
        return None


def append_prefix(octets: bytes) -> tuple[str, c.Append] | None:
    """When `octets` is an APPEND as far as its message literal: its tag and value. None: something else."""
    lexer = Lexer(octets)
    tag = lexer.tag()
    lexer.space()
    if lexer.keyword() != "APPEND" or not _past_mailbox(lexer):
        return None
    flags: tuple[str, ...] = ()
    moment = None
    if lexer.peek(b"("):
        flags = lexer.flags()
        lexer.space()
    if lexer.peek(b'"'):
        moment = lexer.date_time()
        lexer.space()
    if not lexer.ended:
        bad("message literal expected")
    at = Lexer(octets, octets.index(b" ", len(tag) + 1) + 1)
    return tag, c.Append(at.mailbox(), flags, moment)


def _past_mailbox(lexer: Lexer) -> bool:
    """Step over ` mailbox `; False when the name itself is the literal that is to come."""
    lexer.space()
    if lexer.ended:
        return False
    lexer.astring()
    lexer.space()
    return True


def _command(lexer: Lexer, verb: str, uid: bool) -> c.Command:
    if uid:
        by_uid = _BY_UID.get(verb)
        return by_uid(lexer, True) if by_uid else bad("unknown command")
    if verb in _NUMBERED:
        return _NUMBERED[verb](lexer, False)
    if verb in _WITH_ARGUMENTS:
        return _WITH_ARGUMENTS[verb](lexer)
    if verb == "EXPUNGE":
        return c.Expunge(None)
    try:
        return c.Plain(verb)
    except ValueError:
        bad("unknown command")


# ---- any state, not authenticated -----------------------------------------------------------------------------------


def _id(lexer: Lexer) -> c.Command:
    lexer.space()
    if not lexer.skip(b"("):
        return c.Identify(()) if lexer.nstring() is None else bad("list expected")
    fields: list[tuple[str, str]] = []
    while not lexer.skip(b")"):
        if fields:
            lexer.space()
        name = lexer.text()
        lexer.space()
        fields.append((name[:30], (lexer.nstring() or "")[:100]))
        if len(fields) > 30:
            bad("too many fields")
    return c.Identify(tuple(fields))


def _login(lexer: Lexer) -> c.Command:
    lexer.space()
    user = lexer.text()
    lexer.space()
    return c.Login(user, lexer.text())


def _authenticate(lexer: Lexer) -> c.Command:
    lexer.space()
    mechanism = lexer.keyword()
    if not lexer.skip(b" "):
        return c.Authenticate(mechanism, None)
    rest, lexer.at = lexer.octets[lexer.at :], len(lexer.octets)
    return c.Authenticate(mechanism, sasl(b"" if rest == b"=" else rest))


def sasl(octets: bytes) -> bytes:
    """A base64 answer (RFC 4648 §4)."""
    try:
        return base64.b64decode(octets, validate=True)
    except binascii.Error:
        bad("bad base64")


def _enable(lexer: Lexer) -> c.Command:
    names: list[str] = []
    while lexer.skip(b" "):
        names.append(lexer.keyword())
    return c.Enable(tuple(names)) if names else bad("capability expected")


# ---- mailboxes ------------------------------------------------------------------------------------------------------


def _mailbox(lexer: Lexer) -> str:
    lexer.space()
    return lexer.mailbox()


def _select(lexer: Lexer, read_only: bool) -> c.Command:
    mailbox = _mailbox(lexer)
    condstore = False
    if lexer.skip(b" "):
        options = lexer.words()
        condstore = options == ("CONDSTORE",) or bad("unknown option")
    return c.Select(mailbox, read_only, condstore)


def _rename(lexer: Lexer) -> c.Command:
    return c.Rename(_mailbox(lexer), _mailbox(lexer))


def _lsub(lexer: Lexer) -> c.Command:
    reference = _mailbox(lexer)
    lexer.space()
    return c.List(reference, (lexer.pattern(),), lsub=True)


def _list(lexer: Lexer) -> c.Command:
    """RFC 5258 §6: `LIST (options) reference (patterns) RETURN (options)`."""
    lexer.space()
    select: frozenset[str] = frozenset()
    if lexer.peek(b"("):
        select = frozenset(lexer.words())
        lexer.space()
    if not select <= _SELECT_OPTIONS or select == {"RECURSIVEMATCH"}:
        bad("unknown selection option")
    reference = lexer.mailbox()
    lexer.space()
    patterns = _patterns(lexer)
    returns, status = _returns(lexer) if lexer.skip(b" ") else (frozenset[str](), ())
    return c.List(reference, patterns, select, returns, status)


def _patterns(lexer: Lexer) -> tuple[str, ...]:
    if not lexer.skip(b"("):
        return (lexer.pattern(),)
    patterns = [lexer.pattern()]
    while not lexer.skip(b")"):
        lexer.space()
        patterns.append(lexer.pattern())
    return tuple(patterns) if len(patterns) <= 16 else bad("too many patterns")


def _returns(lexer: Lexer) -> tuple[frozenset[str], tuple[str, ...]]:
    if lexer.keyword() != "RETURN":
        bad("RETURN expected")
    lexer.need(b" (")
    found: set[str] = set()
    status: tuple[str, ...] = ()
    while not lexer.skip(b")"):
        if found or status:
            lexer.space()
        option = lexer.keyword()
        if option == "STATUS":
            lexer.space()
            status = _status_items(lexer)
        elif option in _RETURN_OPTIONS:
            found.add(option)
        else:
            bad("unknown return option")
    return frozenset(found), status


def _status(lexer: Lexer) -> c.Command:
    mailbox = _mailbox(lexer)
    lexer.space()
    return c.Status(mailbox, _status_items(lexer))


def _status_items(lexer: Lexer) -> tuple[str, ...]:
    items = lexer.words()
    return items if items and _STATUS_ITEMS.issuperset(items) else bad("unknown status item")


def _append(lexer: Lexer) -> c.Command:
    """Only reached when no message literal came: the reader takes the others apart."""
    bad("message literal expected")


# ---- messages -------------------------------------------------------------------------------------------------------


def _uid_expunge(lexer: Lexer, by_uid: bool) -> c.Command:
    lexer.space()
    return c.Expunge(lexer.sequence_set())


def _fetch(lexer: Lexer, by_uid: bool) -> c.Command:
    lexer.space()
    chosen = lexer.sequence_set()
    lexer.space()
    items = fetch_items(lexer)
    since = None
    if lexer.skip(b" ("):
        since = _modifier(lexer, "CHANGEDSINCE")
        items = items if c.Item.MODSEQ in items else (*items, c.Item.MODSEQ)
    if by_uid and c.Item.UID not in items:
        items = (c.Item.UID, *items)
    return c.Fetch(chosen, items, by_uid, since)


def _modifier(lexer: Lexer, name: str) -> int:
    """`CHANGEDSINCE 12345)` (RFC 7162 §3.1.4.1)."""
    if lexer.keyword() != name:
        bad("unknown modifier")
    lexer.space()
    value = lexer.modseq()
    lexer.need(b")")
    return value


def _store(lexer: Lexer, by_uid: bool) -> c.Command:
    lexer.space()
    chosen = lexer.sequence_set()
    lexer.space()
    unchanged = None
    if lexer.skip(b"("):
        unchanged = _modifier(lexer, "UNCHANGEDSINCE")
        lexer.space()
    word, dot, silent = lexer.keyword().partition(".")
    if word not in _ACTIONS or (dot and silent != "SILENT"):
        bad("FLAGS expected")
    lexer.space()
    flags = lexer.flags() if lexer.peek(b"(") else _bare_flags(lexer)
    return c.Store(chosen, _ACTIONS[word], bool(dot), flags, by_uid, unchanged)


def _bare_flags(lexer: Lexer) -> tuple[str, ...]:
    found = [lexer.flag()]
    while lexer.skip(b" "):
        found.append(lexer.flag())
    return tuple(found)


def _copy(lexer: Lexer, by_uid: bool, *, move: bool = False) -> c.Command:
    lexer.space()
    chosen = lexer.sequence_set()
    return c.Copy(chosen, _mailbox(lexer), by_uid, move)


def _search(lexer: Lexer, by_uid: bool) -> c.Command:
    lexer.space()
    return c.Search(search_key(lexer), by_uid)


_NUMBERED: dict[str, Callable[[Lexer, bool], c.Command]] = {
    "FETCH": _fetch,
    "STORE": _store,
    "COPY": _copy,
    "MOVE": lambda lexer, by_uid: _copy(lexer, by_uid, move=True),
    "SEARCH": _search,
}
_BY_UID = _NUMBERED | {"EXPUNGE": _uid_expunge}
_WITH_ARGUMENTS: dict[str, Callable[[Lexer], c.Command]] = {
    "ID": _id,
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
    "ENABLE": _enable,
    "SELECT": lambda lexer: _select(lexer, False),
    "EXAMINE": lambda lexer: _select(lexer, True),
    "CREATE": lambda lexer: c.Create(_mailbox(lexer)),
    "DELETE": lambda lexer: c.Delete(_mailbox(lexer)),
    "RENAME": _rename,
    "SUBSCRIBE": lambda lexer: c.Subscribe(_mailbox(lexer), True),
    "UNSUBSCRIBE": lambda lexer: c.Subscribe(_mailbox(lexer), False),
    "LIST": _list,
    "LSUB": _lsub,
    "STATUS": _status,
    "APPEND": _append,
}
