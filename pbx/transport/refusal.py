"""The 503 of an overloaded server, made from the lines of the request without a transaction. RFC 3261 §8.2.7, §21.5.4.

Stateless: whoever asks again gets the same To tag, and its ACK is known by that tag and passed over.
"""

from __future__ import annotations

import hashlib
import re

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to

_WANTED = re.compile(rb"(?:via|v|from|f|to|t|call-id|i|cseq)[ \t]*:", re.IGNORECASE)
_VIA = re.compile(rb"(?:via|v)[ \t]*:[ \t]*SIP/2\.0/\w+[ \t]+(\[[^\]]*\]|[^\s;:,]+)(?::(\d{1,5}))?", re.IGNORECASE)
_TO = re.compile(rb"(?:to|t)[ \t]*:", re.IGNORECASE)
_RPORT = re.compile(rb";[ \t]*rport(?![\w=])", re.IGNORECASE)
_MOST_LINES = 64


class Refusals:
    """Makes them. `mark` is what only we know: it stands in the To tags that we give."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._tag = b";tag=" + self._mark

    def answered(self, ack: bytes) -> bool:
        """Whether an ACK belongs to one of our refusals."""
        return self._tag in ack

    def of_octets(self, data: bytes, flow: Flow, retry_after: int) -> tuple[Flow, bytes] | None:
        """Where to send what; None for what is no request that could be answered."""
        lines = _lines(data)
        if not lines:
            return None
        via = _VIA.match(lines[0])
        if via is None:
            return None
        lines[0], back = _stamped(lines[0], via, flow)
        tag = self._tag + hashlib.blake2s(b"".join(lines[1:]), digest_size=6, key=self._mark).hexdigest().encode()
        answer = [line + tag if _TO.match(line) else line for line in lines]
        head = [b"SIP/2.0 503 Service Unavailable", *answer, b"Retry-After: %d" % retry_after, b"Content-Length: 0"]
        return back, b"\r\n".join([*head, b"", b""])

    def of_request(self, request: Request, retry_after: int) -> bytes:
        """For one that came parsed, over a stream: the answer goes back there."""
        digest = hashlib.blake2s(request.call_id.encode("utf-8", "replace"), digest_size=6, key=self._mark)
        tag = self._mark.decode() + digest.hexdigest()
        headers = [("Retry-After", str(retry_after))]
        return response_to(request, 503, to_tag=tag, headers=headers).encode()


def _lines(data: bytes) -> list[bytes]:
    """The header lines that a response repeats, Via first (RFC 3261 §8.2.6.2); none when something is wrong."""
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end or b"\r\n " in head or b"\r\n\t" in head:  # folded lines are for the parser
        return []
    wanted = [line for line in head.split(b"\r\n")[1:_MOST_LINES] if _WANTED.match(line)]
    vias = [line for line in wanted if line[:1] in b"Vv"]
    return [*vias, *(line for line in wanted if line[:1] not in b"Vv")] if vias and len(wanted) - len(vias) == 4 else []


def _stamped(line: bytes, via: re.Match[bytes], flow: Flow) -> tuple[bytes, Flow]:
    """The source in the topmost Via, and the way back: there, or to the port that the Via names for its own address
    (RFC 3581 §4, RFC 3261 §18.2.2)."""
    host, port = flow.remote
    received = b";received=" + host.encode()
    if _RPORT.search(line):
        return _RPORT.sub(b";rport=%d" % port + received, line, count=1), flow
    first, comma, rest = line.partition(b",")
    if via[1] == host.encode():
        return line, Flow(flow.transport, flow.local, (host, int(via[2] or 5060)), flow.connection)
    return first + received + comma + rest, flow
