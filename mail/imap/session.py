"""One IMAP conversation: states, log-in, dispatch (RFC 3501 §3, §6.1, §6.2). The machine of this door.

Not a driver: it opens no socket, reads no clock and imports no asyncio. Octets come in by `receive`, answers go out by
the `Channel`; what it waits for are ports only.

    NOT_AUTHENTICATED --LOGIN--> AUTHENTICATED --SELECT--> SELECTED
                                              <--CLOSE--
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable
from typing import assert_never

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import Account
from mail.imap import commands as c
from mail.imap import folders, letters
from mail.imap.appending import Appending
from mail.imap.context import Context, Refused, refused
from mail.imap.entrance import Entrance
from mail.imap.fetching import Structures
from mail.imap.grammar import sasl
from mail.imap.lexer import BadCommand
from mail.imap.news import announce
from mail.imap.ports import Authenticator, Channel, Uploads
from mail.imap.wire import (
    MAX_COMMAND,
    Arrived,
    Broken,
    Continue,
    Event,
    Line,
    MessageData,
    MessageEnd,
    MessageStart,
    Reader,
)
from mail.store import Change, Kind, MailStore, Subscription

_log = get_logger("mail.imap")

# Limit: broken commands of one session before it ends.
MAX_BROKEN = 30

_BEFORE = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE"
_AFTER = (
    "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE SPECIAL-USE LIST-EXTENDED LIST-STATUS"
    " STATUS=SIZE CONDSTORE"
)


class State(enum.Enum):
    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Session:
    """`start`, then `receive` what comes; `refresh` when the channel was woken; `close` at the end."""

    def __init__(
        self,
        store: MailStore,
        structures: Structures,
        authenticator: Authenticator,
        uploads: Uploads,
        channel: Channel,
        metrics: Metrics,
        *,
        can_encrypt: bool,
        peer: str = "",
    ) -> None:
        self.state = State.NOT_AUTHENTICATED
        self.upgrading = False
        self._store = store
        self._structures = structures
        self._uploads = uploads
        self._channel = channel
        self._metrics = metrics
        self._can_encrypt = can_encrypt
        self._peer = peer
        self._reader = Reader()
        self._context: Context | None = None
        self._subscription: Subscription | None = None
        self._idle: str | None = None
        self._sasl: str | None = None
        self._append = Appending()
        self._entrance = Entrance(authenticator, channel, metrics, peer)
        self._removed = False
        self._broken = 0

    # ---- the driver's side ------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Nothing more will be said: hang up."""
        return self.state is State.LOGOUT

    @property
    def idling(self) -> bool:
        """News may be told at any time (RFC 2177)."""
        return self._idle is not None

    @property
    def unread(self) -> int:
        """Octets that came and were not yet understood."""
        return self._reader.buffered

    @property
    def account(self) -> Account | None:
        return self._context.account if self._context else None

    def start(self) -> None:
        self._write(f"* OK [CAPABILITY {self._capabilities()}] Tandem ready")

    async def receive(self, octets: bytes) -> None:
        """Obey what came, as far as it is whole. With `upgrading` set, what follows is for TLS."""
        self._reader.feed(octets)
        while not self.over and not self.upgrading and (event := self._reader.next()) is not None:
            await self._handle(event)

    async def refresh(self) -> None:
        """Tell an idling client what happened."""
        if self._removed:
            self.bye("The account was removed")
        elif self._idle is not None and self._context is not None and self._context.view is not None:
            await self._news(self._context, expunges=True)

    def encrypted(self) -> None:
        """TLS runs now; what was said before counts for nothing (RFC 3501 §6.2.1)."""
        self.upgrading = False
        self._reader = Reader()

    def bye(self, text: str) -> None:
        """The server ends the conversation."""
        if not self.over:
            self._write(f"* BYE {text}")
            self.state = State.LOGOUT

    def close(self) -> None:
        """Give back what the session holds; harmless twice."""
        self.state = State.LOGOUT
        self._append.drop()
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    # ---- events -----------------------------------------------------------------------------------------------------

    async def _handle(self, event: Event) -> None:
        match event:
            case Arrived(tag=tag, command=command):
                await self._obey(tag, command)
            case Continue():
                self._write("+ Go ahead")
            case Line(octets=octets):
                await self._line(octets)
            case MessageStart():
                await self._message_start(event)
            case MessageData(octets=octets):
                await self._append.add(octets)
            case MessageEnd(tag=tag):
                await self._message_end(tag)
            case Broken():
                self._complain(event)
            case _:
                assert_never(event)
        await self._channel.drain()

    def _complain(self, broken: Broken) -> None:
        """BAD, or NO when it was understood; who goes on and on is shown the door."""
        self._append.drop()
        self._metrics.count("imap.broken")
        if broken.refused is not None:
            failure = refused(broken.refused)
            self._write(f"{broken.tag or '*'} NO [{failure.code}] {failure.text}")
        elif broken.charset:
            self._write(f"{broken.tag or '*'} NO [BADCHARSET (US-ASCII UTF-8)] {broken.text}")
        else:
            self._write(f"{broken.tag or '*'} BAD {broken.text}")
        self._broken += 1
        if broken.fatal or self._broken >= MAX_BROKEN:
            self.bye("Too many errors" if not broken.fatal else broken.text)

    async def _line(self, octets: bytes) -> None:
        if self._sasl is not None:
            tag, self._sasl = self._sasl, None
            await self._sasl_answer(tag, octets)
        elif self._idle is not None:
            tag, self._idle = self._idle, None
            if octets.strip().upper() == b"DONE":
                await self._finish(tag, "IDLE completed", expunges=True)
            else:
                self._complain(Broken(tag, "DONE expected"))

    async def _obey(self, tag: str, command: c.Command) -> None:
        """Carry out a command and answer it."""
        if self._removed:
            self.bye("The account was removed")
            return
        try:
            text = await self._carry_out(tag, command)
        except Refused as no:
            await self._refuse(tag, no, command)
        except Failure as failure:
            self._note(failure)
            await self._refuse(tag, refused(failure), command)
        except BadCommand as error:
            self._complain(Broken(tag, str(error)))
        else:
            if text is not None:
                await self._finish(tag, text, expunges=_moves_numbers(command))

    async def _refuse(self, tag: str, no: Refused, command: c.Command | None = None) -> None:
        code = f"[{no.code}] " if no.code else ""
        if self.state is State.SELECTED and self._context is not None:
            await self._news(self._context, expunges=command is None or _moves_numbers(command))
        self._write(f"{tag} NO {code}{no.text}")

    async def _finish(self, tag: str, text: str, *, expunges: bool) -> None:
        """News first, then the tagged OK."""
        if self.state is State.SELECTED and self._context is not None:
            await self._news(self._context, expunges=expunges)
        if not self.over:
            self._write(f"{tag} OK {text}")

    async def _news(self, context: Context, *, expunges: bool) -> None:
        try:
            await announce(context, expunges=expunges)
            await self._channel.drain()
        except Failure as failure:
            if failure.code != "not-found":
                raise
            self.bye("The mailbox was deleted")

    def _note(self, failure: Failure) -> None:
        if failure.private or failure.code in ("unavailable", "busy", "full"):
            _log.warning("refused", peer=self._peer, code=failure.code, reason=str(failure))

    # ---- dispatch ---------------------------------------------------------------------------------------------------

    async def _carry_out(self, tag: str, command: c.Command) -> str | None:
        """The text of the OK; None when the answer comes later or was given."""
        match command:
            case c.Plain.CAPABILITY:
                self._write(f"* CAPABILITY {self._capabilities()}")
                return "CAPABILITY completed"
            case c.Plain.NOOP:
                return "NOOP completed"
            case c.Plain.LOGOUT:
                self._write("* BYE Good bye")
                self._write(f"{tag} OK LOGOUT completed")
                self.state = State.LOGOUT
                return None
            case c.Identify():
                return self._identify(command)
            case c.Plain.STARTTLS:
                self._start_tls(tag)
                return None
            case c.Login():
                return await self._log_in(command.user, command.password)
            case c.Authenticate():
                return await self._authenticate(tag, command)
            case _:
                return await self._with_account(tag, self._logged_in(), command)

    async def _with_account(self, tag: str, context: Context, command: c.Command) -> str | None:
        match command:
            case c.Enable():
                return self._enable(context, command)
            case c.Plain.NAMESPACE:
                self._write('* NAMESPACE (("" "/")) NIL NIL')
                return "NAMESPACE completed"
            case c.Select():
                return await self._select(context, command)
            case c.List():
                return await folders.list_(context, command)
            case c.Status():
                return await folders.status(context, command)
            case c.Create():
                return await folders.create(context, command)
            case c.Delete():
                return await folders.delete(context, command)
            case c.Rename():
                return await folders.rename(context, command)
            case c.Subscribe():
                return await folders.subscribe(context, command)
            case c.Plain.IDLE:
                await self._start_idle(tag, context)
                return None
            case _:
                return await self._with_mailbox(self._selected(context), command)

    async def _with_mailbox(self, context: Context, command: c.Command) -> str:
        match command:
            case c.Fetch():
                return await letters.fetch(context, command)
            case c.Store():
                return await letters.store(context, command)
            case c.Copy():
                return await letters.copy(context, command)
            case c.Search():
                return await letters.search(context, command)
            case c.Expunge():
                return await letters.expunge(context, command)
            case c.Plain.CHECK:
                return "CHECK completed"
            case c.Plain.CLOSE:
                await letters.close(context)
                self._leave(context)
                return "CLOSE completed"
            case c.Plain.UNSELECT:
                self._leave(context)
                return "UNSELECT completed"
            case _:
                raise BadCommand("unknown command")

    def _logged_in(self) -> Context:
        if self._context is None:
            raise BadCommand("log in first")
        return self._context

    def _selected(self, context: Context) -> Context:
        if context.view is None:
            raise BadCommand("no mailbox is selected")
        return context

    # ---- not authenticated ------------------------------------------------------------------------------------------

    def _capabilities(self) -> str:
        if self._context is not None:
            return _AFTER
        words = [_BEFORE]
        if self._can_encrypt and not self._channel.encrypted:
            words.append("STARTTLS")
        words.append("AUTH=PLAIN" if self._channel.secure else "LOGINDISABLED")
        return " ".join(words)

    def _identify(self, command: c.Identify) -> str:
        _log.debug("client", peer=self._peer, **{f"client_{name.lower()}": value for name, value in command.fields[:5]})
        self._write('* ID ("name" "Tandem")')
        return "ID completed"

    def _start_tls(self, tag: str) -> None:
        if self._context is not None or not self._can_encrypt or self._channel.encrypted:
            raise BadCommand("STARTTLS is not possible now")
        self._write(f"{tag} OK Begin TLS now")
        self.upgrading = True

    async def _log_in(self, user: str, password: str) -> str:
        self._entrance.allow(self._context is not None)
        return self._enter(await self._past(self._entrance.log_in(user, password)))

    async def _authenticate(self, tag: str, command: c.Authenticate) -> str | None:
        self._entrance.allow(self._context is not None)
        if command.mechanism != "PLAIN":
            raise Refused("CANNOT", "Only PLAIN is known")
        if command.initial is not None:
            return self._enter(await self._past(self._entrance.plain(command.initial)))
        self._sasl = tag
        self._reader.expect_line()
        self._write("+ ")
        return None

    async def _sasl_answer(self, tag: str, octets: bytes) -> None:
        try:
            if octets == b"*":
                raise BadCommand("AUTHENTICATE cancelled")
            text = self._enter(await self._past(self._entrance.plain(sasl(octets))))
        except BadCommand as error:
            self._complain(Broken(tag, str(error)))
        except Refused as no:
            await self._refuse(tag, no)
        except Failure as failure:
            self._note(failure)
            await self._refuse(tag, refused(failure))
        else:
            await self._finish(tag, text, expunges=False)

    async def _past(self, entering: Awaitable[Account]) -> Account:
        """Wait at the entrance; who failed too often is shown out."""
        try:
            return await entering
        except Refused:
            if self._entrance.exhausted:
                self.bye("Too many wrong passwords")
            raise

    def _enter(self, account: Account) -> str:
        """Logged in; the text of the OK."""
        self._context = Context(self._store, self._structures, self._channel, self._uploads, account)
        self._subscription = self._store.feed.subscribe(account.id, self._changed)
        self.state = State.AUTHENTICATED
        self._reader.limit = MAX_COMMAND
        return f"[CAPABILITY {self._capabilities()}] Logged in"

    # ---- authenticated ----------------------------------------------------------------------------------------------

    def _enable(self, context: Context, command: c.Enable) -> str:
        known = [name for name in command.capabilities if name == "CONDSTORE"]
        context.condstore = context.condstore or bool(known)
        self._write(" ".join(["* ENABLED", *known]))
        return "ENABLE completed"

    async def _select(self, context: Context, command: c.Select) -> str:
        # Also when the new one cannot be selected (RFC 3501 §6.3.1).
        self._leave(context)
        text = await folders.select(context, command)
        self.state = State.SELECTED
        return text

    def _leave(self, context: Context) -> None:
        context.view = None
        self.state = State.AUTHENTICATED

    async def _start_idle(self, tag: str, context: Context) -> None:
        self._idle = tag
        self._reader.expect_line()
        self._write("+ idling")
        if context.view is not None:
            await self._news(context, expunges=True)

    def _changed(self, change: Change) -> None:
        """The feed: take note, and tell later."""
        view = self._context.view if self._context is not None else None
        if Kind.REMOVED in change.kind:
            self._removed = True
            self._channel.wake()
        elif view is not None and change.mailbox_id == view.mailbox.id:
            view.dirty = True
            self._channel.wake()

    # ---- APPEND -----------------------------------------------------------------------------------------------------

    async def _message_start(self, start: MessageStart) -> None:
        try:
            await self._append.start(self._logged_in(), start)
        except BadCommand as error:
            self._complain(Broken(start.tag, str(error)))
            self._reader.refuse()
        except Refused as no:
            self._reader.refuse()
            await self._refuse(start.tag, no)
        else:
            self._reader.accept()
            if start.waits:
                self._write("+ Go ahead")

    async def _message_end(self, tag: str) -> None:
        try:
            text = await self._append.finish(self._logged_in())
        except Refused as no:
            await self._refuse(tag, no)
        else:
            await self._finish(tag, text, expunges=True)

    def _write(self, line: str) -> None:
        self._channel.write(line.encode() + b"\r\n")


def _moves_numbers(command: c.Command) -> bool:
    """Whether EXPUNGE may be sent with the answer (decision 20, RFC 3501 §7.4.1)."""
    return not isinstance(command, c.Fetch | c.Store | c.Search)
