"""APPEND: a message streamed into its mailbox (RFC 3501 §6.3.11, RFC 4315 §3). OK follows the commit (decision 15)."""

from __future__ import annotations

from base.failures import Failure
from base.log import get_logger
from mail.imap.commands import Append
from mail.imap.context import Context, Refused, refused
from mail.imap.ports import Upload
from mail.imap.wire import MessageStart
from mail.store import Flags

_log = get_logger("mail.imap")


class Appending:
    """The message on its way in of one session, if there is one."""

    def __init__(self) -> None:
        self._command: Append | None = None
        self._upload: Upload | None = None

    async def start(self, context: Context, start: MessageStart) -> None:
        """Raises Refused before the octets come, where that is possible."""
        try:
            Flags.of(start.command.flags)
            self._upload = context.uploads.open(start.size)
            await context.store.mailbox(context.account.id, start.command.mailbox)
        except Failure as failure:
            self.drop()
            raise _refused(failure) from failure
        self._command = start.command

    async def add(self, octets: bytes) -> None:
        """When the disk is full the message is forgotten; `finish` says so."""
        if self._upload is not None:
            try:
                await self._upload.write(octets)
            except Failure as failure:
                _log.warning("message refused", reason=str(failure))
                self.drop()

    async def finish(self, context: Context) -> str:
        """Put the message into its mailbox; the text of the OK. Raises Refused."""
        if self._upload is None or self._command is None:
            raise Refused("UNAVAILABLE", "No room for the message")
        try:
            appended = await context.store.append(
                context.account.id,
                self._command.mailbox,
                self._upload,
                flags=self._command.flags,
                internal_date=self._command.internal_date,
            )
        except Failure as failure:
            _log.warning("message refused", account=context.account.address, reason=str(failure))
            raise _refused(failure) from failure
        finally:
            self.drop()
        return f"[APPENDUID {appended.uidvalidity} {appended.uid}] APPEND completed"

    def drop(self) -> None:
        """Forget it; harmless twice."""
        if self._upload is not None:
            self._upload.close()
        self._upload = self._command = None


def _refused(failure: Failure) -> Refused:
    if failure.code == "not-found":
        return Refused("TRYCREATE", failure.public)
    if failure.code == "full" and not failure.temporary:
        return Refused("TOOBIG", failure.public)
    return refused(failure)
