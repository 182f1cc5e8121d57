"""SIP requests and responses, read lazily.

Not here: the lines themselves (`header_lines`), how messages are made out of bytes (`parser`), nor any rule of a
protocol machine. RFC 3261 §7 (form), §8.2.6 (responses), §20 (headers).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.header_lines import HeaderLines
from pbx.sipcore.headers import CSeq, Via, split_list
from pbx.sipcore.reasons import REASONS as REASONS
from pbx.sipcore.uri import NameAddress, tag_of

M = TypeVar("M", bound="Message")

_LENGTH = "content-length"


class Message(HeaderLines):
    """What requests and responses share: header lines and a body.

    Text is UTF-8, or latin-1 where the bytes were not UTF-8, so that every octet comes out as it came in.
    """

    __slots__ = (
        "_body",
        "_charset",
        "_cseq",
        "_from",
        "_from_tag",
        "_sized",
        "_to",
        "_to_tag",
        "_via",
    )

    def __init__(self, lines: list[str], kinds: list[str], body: bytes, charset: str = "utf-8") -> None:
        super().__init__(lines, kinds)
        self._body = body
        self._charset = charset
        self._sized = False
        self._via: Via | None = None
        self._from: NameAddress | None = None
        self._to: NameAddress | None = None
        self._from_tag: str | None = None
        self._to_tag: str | None = None
        self._cseq: CSeq | None = None

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def is_request(self) -> bool:
        return isinstance(self, Request)

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    @property
    def call_id(self) -> str:
        return self.get("Call-ID") or ""

    @property
    def cseq(self) -> CSeq:
        if self._cseq is None:
            self._cseq = CSeq.parse(self._required("cseq"))
        return self._cseq

    @property
    def from_(self) -> NameAddress:
        if self._from is None:
            self._from = NameAddress.parse(self._required("from"))
        return self._from

    @property
    def to(self) -> NameAddress:
        if self._to is None:
            self._to = NameAddress.parse(self._required("to"))
        return self._to

    @property
    def from_tag(self) -> str:
        """The tag of From, empty when there is none (RFC 2543 peers)."""
        if self._from_tag is None:
            self._from_tag = tag_of(self._required("from"))
        return self._from_tag

    @property
    def to_tag(self) -> str:
        """The tag of To, empty when there is none."""
        if self._to_tag is None:
            self._to_tag = tag_of(self._required("to"))
        return self._to_tag

    @property
    def top_via(self) -> Via:
        if self._via is None:
            value = self._required("via")
            self._via = Via.parse((split_list(value) or [""])[0] if "," in value else value)
        return self._via

    @property
    def contacts(self) -> list[NameAddress]:
        """Parsed Contact values; `*` gives an empty list (see `get`). Raises SipSyntaxError on a malformed one."""
        return [NameAddress.parse(value) for value in self.get_all("Contact") if value != "*"]

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, empty when there is no Content-Type."""
        return (self.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        return self._body

    @body.setter
    def body(self, body: bytes) -> None:
        self._body = body
        self._sized = False

    # --- changing ----------------------------------------------------------------------------------------------------

    def set_body(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.set("Content-Type", content_type)

    def stamp_via(self, via: Via) -> None:
        """Write the first Via anew; it needs not be read again."""
        self.replace_first("Via", str(via))
        self._via = via

    def _forget(self, kind: str) -> None:
        if kind == "via":
            self._via = None
        elif kind == "from":
            self._from = self._from_tag = None
        elif kind == "to":
            self._to = self._to_tag = None
        elif kind == "cseq":
            self._cseq = None
        elif kind == _LENGTH:
            self._sized = False

    # --- for the parser ----------------------------------------------------------------------------------------------

    def sized(self) -> None:
        """Told by the parser: the Content-Length that came is the body's."""
        self._sized = True

    # --- writing -----------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """The bytes to send, with the right Content-Length (RFC 3261 §20.14)."""
        if not self._sized:
            self.set("Content-Length", str(len(self._body)))
            self._sized = True
        start = self.start_line
        if "\r" in start or "\n" in start:
            start = " ".join(start.split())
        head = "\r\n".join((start, *self._lines, "", ""))
        return head.encode(self._charset, "replace") + self._body

    def _copy_into(self, twin: M) -> M:
        twin._sized = self._sized
        twin._via, twin._from, twin._to, twin._cseq = self._via, self._from, self._to, self._cseq
        twin._from_tag, twin._to_tag = self._from_tag, self._to_tag
        return twin

    def __repr__(self) -> str:
        return f"<{self.start_line} {self.call_id}>"


class Request(Message):
    """A request; `uri` is the Request-URI as text."""

    __slots__ = ("malformed_start", "method", "unsupported_version", "uri")

    def __init__(
        self,
        method: str,
        uri: str,
        lines: list[str] | None = None,
        kinds: list[str] | None = None,
        body: bytes = b"",
        charset: str = "utf-8",
    ) -> None:
        super().__init__(lines if lines is not None else [], kinds if kinds is not None else [], body, charset)
        self.method = method
        self.uri = uri
        self.malformed_start = False
        self.unsupported_version = False

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def copy(self) -> Request:
        """A copy to forward or change; parsed values are shared, they are immutable."""
        twin = Request(self.method, self.uri, self._lines.copy(), self._kinds.copy(), self._body, self._charset)
        return self._copy_into(twin)


class Response(Message):
    """A response; its method is that of its CSeq."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str = "",
        lines: list[str] | None = None,
        kinds: list[str] | None = None,
        body: bytes = b"",
        charset: str = "utf-8",
    ) -> None:
        super().__init__(lines if lines is not None else [], kinds if kinds is not None else [], body, charset)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    @property
    def method(self) -> str:
        return self.cseq.method

    @property
    def is_provisional(self) -> bool:
        return self.status < 200

    @property
    def is_final(self) -> bool:
        return self.status >= 200

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def copy(self) -> Response:
        """A copy to forward or change."""
        twin = Response(self.status, self.reason, self._lines.copy(), self._kinds.copy(), self._body, self._charset)
        return self._copy_into(twin)


_DIALOG_MAKERS = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})


def response_to(
    request: Request,
    status: int,
    reason: str = "",
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """An answer with what must be copied (RFC 3261 §8.2.6): Via, From, To, Call-ID, CSeq, and Record-Route where the
    answer makes a dialog (§12.1.1). `to_tag` is put on a To that has none, save on a 100."""
    copied = _COPIED
    if status == 100:
        copied = _COPIED_BY_TRYING
    elif status < 300 and request.method in _DIALOG_MAKERS:
        copied = _COPIED_BY_DIALOG
    lines: list[str] = []
    kinds: list[str] = []
    for line, kind in zip(request._lines, request._kinds, strict=True):
        if kind in copied:
            lines.append(line)
            kinds.append(kind)
    response = Response(status, reason or REASONS.get(status, "Unspecified"), lines, kinds, charset=request._charset)
    response._via, response._cseq = request._via, request._cseq
    if to_tag is not None and status > 100:
        tag_to(response, to_tag)
    for name, value in headers:
        response.add(name, value)
    return response


_COPIED = frozenset({"via", "from", "to", "call-id", "cseq"})
_COPIED_BY_DIALOG = _COPIED | {"record-route"}
_COPIED_BY_TRYING = _COPIED | {"timestamp"}


def tag_to(response: Response, tag: str) -> None:
    """Put our tag on a To that has none; a To that cannot be read is left alone."""
    try:
        has_tag = response.to_tag != ""
    except SipSyntaxError:
        return
    if not has_tag:
        response.set("To", f"{(response.get('To') or '').rstrip(' ;')};tag={tag}")
