"""SIP requests and responses, read lazily.

A message keeps its header lines as they came, beside a list of their kinds; a line is parsed when it is asked for and
written anew only when it is changed. `parser.py` makes messages out of bytes; no rule of any protocol machine is here.

RFC 3261 §7 (form), §8.2.6 (responses), §20 (headers).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import LISTS, SPELLINGS, CSeq, Via, kind_of, split_list
from pbx.sipcore.reasons import REASONS as REASONS
from pbx.sipcore.uri import NameAddress, tag_of

M = TypeVar("M", bound="Message")

_ORDER = "via route record-route path max-forwards from to call-id cseq contact expires min-expires"
_RANKS = {kind: rank for rank, kind in enumerate(_ORDER.split())} | {"content-type": 98, "content-length": 99}
"""Where a new header goes (RFC 3261 §7.3.1: what proxies need comes first)."""

_LENGTH = "content-length"


class Message:
    """What requests and responses share: header lines and a body.

    Values are text without the name and with folding undone. Text is UTF-8, or latin-1 where the bytes were not UTF-8,
    so that every octet comes out as it came in. A carriage return or line feed in a value that is set becomes a space.
    """

    __slots__ = (
        "_body",
        "_charset",
        "_cseq",
        "_from",
        "_from_tag",
        "_kinds",
        "_lines",
        "_sized",
        "_to",
        "_to_tag",
        "_via",
    )

    def __init__(self, lines: list[str], kinds: list[str], body: bytes, charset: str = "utf-8") -> None:
        self._lines = lines
        self._kinds = kinds
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

    def get(self, name: str) -> str | None:
        """The value of the first line of that name (a list is not split), or None."""
        kind = SPELLINGS.get(name) or kind_of(name)
        kinds = self._kinds
        return _value(self._lines[kinds.index(kind)]) if kind in kinds else None

    def get_all(self, name: str) -> list[str]:
        """All values of that name in order; list headers are split at their commas (RFC 3261 §7.3.1)."""
        kind = SPELLINGS.get(name) or kind_of(name)
        if kind not in self._kinds:
            return []
        values = [_value(line) for line, its in zip(self._lines, self._kinds, strict=True) if its == kind]
        return [part for value in values for part in split_list(value)] if kind in LISTS else values

    def has(self, name: str) -> bool:
        return (SPELLINGS.get(name) or kind_of(name)) in self._kinds

    def tokens(self, name: str) -> set[str]:
        """A list of words as a set in lower case (Supported, Require, Allow-Events…)."""
        return {value.lower() for value in self.get_all(name)}

    def number(self, name: str) -> int | None:
        """A header that is a number of seconds or hops; None when absent or not a number below 2**32."""
        value = self.get(name)
        if value is None:
            return None
        digits = value.partition(";")[0].strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            return None
        return min(int(digits), 2**32 - 1)

    def headers(self) -> Iterator[tuple[str, str]]:
        """(kind, value) of each line; kinds are lower-case long forms."""
        for kind, line in zip(self._kinds, self._lines, strict=True):
            yield kind, _value(line)

    def raw_lines(self) -> tuple[str, ...]:
        """The header lines as they stand, folding included."""
        return tuple(self._lines)

    @property
    def head_octets(self) -> int:
        """About how much the header lines hold."""
        return sum(map(len, self._lines))

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

    def _required(self, kind: str) -> str:
        kinds = self._kinds
        if kind not in kinds:
            raise SipSyntaxError(f"Missing {kind.title()}")
        return _value(self._lines[kinds.index(kind)])

    # --- changing ----------------------------------------------------------------------------------------------------

    def set_body(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.set("Content-Type", content_type)

    def add(self, name: str, value: str) -> None:
        """One more line, after those of its name, or at its customary place."""
        kind = kind_of(name)
        self._insert(self._place(kind), kind, name, value)

    def insert_first(self, name: str, value: str) -> None:
        """One more line, before those of its name (Via, Record-Route)."""
        kind = kind_of(name)
        at = self._kinds.index(kind) if kind in self._kinds else self._place(kind)
        self._insert(at, kind, name, value)

    def set(self, name: str, value: str) -> None:
        """Exactly one line of that name, where the first one stood."""
        kind = kind_of(name)
        if kind not in self._kinds:
            self._insert(self._place(kind), kind, name, value)
            return
        at = self._kinds.index(kind)
        self._lines[at] = _line(name, value)
        if self._kinds.count(kind) > 1:
            self._drop(kind, after=at)
        self._forget(kind)

    def remove(self, name: str) -> None:
        """No line of that name."""
        kind = kind_of(name)
        if kind in self._kinds:
            self._drop(kind, after=-1)
            self._forget(kind)

    def remove_first(self, name: str) -> str | None:
        """Take the first value away (of a list, only its first element) and return it: popping a Via or a Route."""
        kind = kind_of(name)
        if kind not in self._kinds:
            return None
        at = self._kinds.index(kind)
        value = _value(self._lines[at])
        parts = split_list(value) if kind in LISTS else [value]
        if len(parts) > 1:
            self._lines[at] = _line(name, ", ".join(parts[1:]))
        else:
            del self._lines[at], self._kinds[at]
        self._forget(kind)
        return parts[0] if parts else ""

    def replace_first(self, name: str, value: str) -> None:
        """Write the first value anew and leave the others (stamping a Via)."""
        self.remove_first(name)
        self.insert_first(name, value)

    def stamp_via(self, via: Via) -> None:
        """Write the first Via anew; it needs not be read again."""
        self.replace_first("Via", str(via))
        self._via = via

    def copy_from(self, other: Message, *names: str) -> None:
        """Append the lines of these names as they stand in `other`."""
        for name in names:
            kind = kind_of(name)
            for line, its in zip(other._lines, other._kinds, strict=True):
                if its == kind:
                    at = self._place(kind)
                    self._lines.insert(at, line)
                    self._kinds.insert(at, kind)
            self._forget(kind)

    def _place(self, kind: str) -> int:
        kinds = self._kinds
        if kind in kinds:
            return len(kinds) - kinds[::-1].index(kind)
        rank = _RANKS.get(kind, 50)
        if rank < 50:
            return next((at for at, its in enumerate(kinds) if _RANKS.get(its, 50) > rank), len(kinds))
        at = len(kinds)
        while at and _RANKS.get(kinds[at - 1], 50) > rank:
            at -= 1
        return at

    def _insert(self, at: int, kind: str, name: str, value: str) -> None:
        self._lines.insert(at, _line(name, value))
        self._kinds.insert(at, kind)
        self._forget(kind)

    def _drop(self, kind: str, *, after: int) -> None:
        for at in range(len(self._kinds) - 1, after, -1):
            if self._kinds[at] == kind:
                del self._lines[at], self._kinds[at]

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

    def begin(self) -> tuple[list[str], list[str]]:
        """The lines and their kinds themselves, for the parser to fill."""
        return self._lines, self._kinds

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


def _value(line: str) -> str:
    value = line.partition(":")[2].strip(" \t\r\n")
    if "\n" in value:
        # RFC 3261 §7.3.1: a line break and the white space after it mean one space
        value = " ".join(part.strip(" \t") for part in value.split("\r\n"))
    return value


def _line(name: str, value: str) -> str:
    if "\r" in value or "\n" in value:
        value = " ".join(value.split())
    return f"{name}: {value}"
