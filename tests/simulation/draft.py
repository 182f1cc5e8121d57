"""Messages as a hostile peer writes them: a valid one, then changed in its parts, so that it gets past the first look.

Not random octets (`tests/fuzz`): headers are dropped, doubled and swapped, numbers, addresses and parameters replaced
by odd ones, descriptions taken apart line by line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hypothesis import strategies as st

URIS = (
    "sip:", "sips:bob@tandem.test", "tel:+1202", "tel:202;phone-context=tandem.test", "urn:service:sos",
    "sip:tandem.test", "sip:202@tandem.test;maddr=10.0.0.66", "sip:202@tandem.test;transport=tcp",
    "sip:202@tandem.test;transport=sctp", "sip:202@10.0.0.1:5060", "sip:%00@tandem.test", "sip:%E4%F6@tandem.test",
    "sip:a:b:c@tandem.test", "sip:;x@tandem.test", "sip:202@tandem.test;lr;ob;gr=urn:uuid:1",
    "sip:202@tandem.test?Route=%3Csip:far.example%3E&Replaces=a%3Bto-tag%3D1",
    "sip:x@far.example;transport=tcp;maddr=10.0.0.2", "sip:x@[::1]:5060", "sip:x@[fe80::1%25eth0]",
    "sip:x@127.0.0.1:22", "sip:x@0.0.0.0", "sip:x@224.0.1.75", "sip:x@255.255.255.255:0", "sip:x@far.example:65535",
    "sip:x@far.example:99999", "sip:x@nowhere.invalid", "sip:*98@tandem.test", "sip:200@tandem.test;services=no",
    "sip:600@tandem.test", "*", "http://x/", "sip:conference@tandem.test", "sip:alice@tandem.test",
    "sip:" + "1" * 300 + "@tandem.test", "sip:x@" + "a." * 120 + "b",
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "00", "255", "256", "65535", "65536", "2147483648", "4294967295", "4294967296", "9" * 30, "1e9",
    "0x10", " 5", "5 ", "", "٣", "1.5", "+1",
)  # fmt: skip
VALUES = (
    "", " ", "*", ",", ";", "=", "<", ">", "<>", '"', '""', '"\\"', '"a\\"b" <sip:x@y>', "<sip:x@y", '"x <sip:a@b>',
    ";;;", ",,", "a,b,c", "\t", "é", "\ud83d\ude00", "%0d%0aX: y", "(nested (comment \\) )", "text/plain",
    "application/sdp;x=", "multipart/mixed;boundary=b", "message/sipfrag", "100rel", "timer,path,outbound,gruu", "99",
    "refresher=uas;99", "90;refresher=uac", "1 1 INVITE", "0 0 ", "presence", "dialog;id=1", "reg", "message-summary",
    "refer;id=9", "active", "terminated;reason=noresource;retry-after=0", "id;critical", "user;session;header",
    "none", "attended", "true", "a;b;c;d=e", "<sip:alice@tandem.test>;tag=1;tag=2",
    "x;to-tag=1;from-tag=2;early-only", "SIP;cause=200", 'Digest username="x"', "<sip:10.0.0.1;lr>",
    "<sip:far.example>", "<sip:x@10.0.0.1:5060;lr>,<sip:far.example;lr>", "SIP/2.0/UDP 10.0.0.9",
    "SIP/2.0/TCP [::1]:1;branch=z9hG4bKx;received=10.0.0.3;rport=5",
    '<sip:x@y>;+sip.instance="<urn:uuid:1>";reg-id=1', "<sip:x@y>;expires=0", "<sip:x@y>;q=9.9;expires=-4",
    "Mon, 01 Jan 1970 00:00:00 GMT", "z" * 4000, "q" * 900, ",".join(["<sip:x@far.example;lr>"] * 60),
    "timer=1;" * 200,
)  # fmt: skip
NAMES = (
    "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Path", "Max-Forwards", "Expires",
    "Min-SE", "Session-Expires", "Require", "Supported", "Proxy-Require", "Allow", "Accept", "Event",
    "Subscription-State", "Refer-To", "Referred-By", "Refer-Sub", "Replaces", "Join", "RAck", "RSeq", "Privacy",
    "P-Asserted-Identity", "P-Preferred-Identity", "Diversion", "History-Info", "Reason", "SIP-If-Match", "SIP-ETag",
    "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "Retry-After", "Min-Expires",
    "Authorization", "Proxy-Authorization", "WWW-Authenticate", "User-Agent", "Alert-Info", "Call-Info",
    "In-Reply-To", "Target-Dialog", "Answer-Mode", "Date", "Warning", "X-Odd", "f", "t", "m", "v", "o",
)  # fmt: skip
SDP_LINES = (
    "v=1", "o=", "o=- 18446744073709551616 -1 IN IP6 ::1", "s=", "c=IN IP4 0.0.0.0", "c=IN IP4 127.0.0.1",
    "c=IN IP6 ::", "t=", "c=IN IP4 224.2.1.1/127/3", "c=IN IP4 far.example", "m=audio 0 RTP/AVP 0",
    "m=audio 65536 RTP/AVP 0", "m=audio 9 RTP/SAVP 0", "m=audio 4000/2 RTP/AVP 0 8 96 97", "m=audio 4000 RTP/AVP",
    "m=video 4002 RTP/AVP 96", "m=image 4004 udptl t38", "m=audio -1 X 0", "m=message 7654 TCP/MSRP *",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=sendonly", "a=inactive", "a=recvonly", "a=rtpmap:0 X/0",
    "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-99999999999", "a=ptime:0",
    "a=ptime:99999", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA", "a=crypto:", "a=fingerprint:sha-256 AB",
    "a=setup:holdconn", "a=rtcp-mux", "a=ice-ufrag:x", "a=ice-pwd:y", "a=candidate:1 1 UDP 1 10.0.0.9 9 typ host",
    "a=group:BUNDLE 0 0 9", "a=mid:0", "a=rtcp:99999", "a=setup:actpass", "b=AS:-1", "a=" + "x" * 3000, "k=clear:x",
    "z=0 0", "\x00", "=", "m=" + "audio 1 RTP/AVP 0\r\nm=" * 40 + "x",
)  # fmt: skip
BODIES = (
    b"", b"\r\n", b"x", b"Signal=5\r\nDuration=-1\r\n", b"Signal=\xff\r\n", b"*", b"<?xml version='1.0'?><presence",
    b"\x00" * 70, b"SIP/2.0 200 OK\r\n", b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--", b"--b--",
    b"A" * 20_000, b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><presence entity='sip:a@b'>&b;</presence>",
)  # fmt: skip

_NUMBER = re.compile(r"\d+")
_URI = re.compile(r"sips?:[^>;,\s]*|tel:[^>;,\s]*")
_PARAMETER = re.compile(r";[^;,>\r]*")


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is written out. `length` overrules what Content-Length says."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    length: str | None = None

    def encode(self) -> bytes:
        size = str(len(self.body)) if self.length is None else self.length
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {size}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogatepass") + self.body

    def get(self, name: str) -> str:
        return next((value for its, value in self.headers if its == name), "")

    def sets(self, name: str, value: str) -> Draft:
        kept = [(its, old) for its, old in self.headers if its != name]
        return replace(self, headers=(*kept, (name, value)))


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `kind` names a method of this class, `at` says which of the parts, `what` is put there."""

    kind: str
    at: int
    what: str | bytes | tuple[str, str] = ""

    def applied(self, draft: Draft) -> Draft:
        made: Draft = getattr(self, f"_{self.kind}")(draft)
        return made

    def _with(self, draft: Draft, headers: list[tuple[str, str]]) -> Draft:
        return replace(draft, headers=tuple(headers))

    def _index(self, draft: Draft) -> int:
        return self.at % max(1, len(draft.headers))

    def _drop(self, draft: Draft) -> Draft:
        at = self._index(draft)
        return self._with(draft, [each for number, each in enumerate(draft.headers) if number != at])

    def _double(self, draft: Draft) -> Draft:
        return self._with(draft, [*draft.headers, *draft.headers[self._index(draft) :][:1]])

    def _swap(self, draft: Draft) -> Draft:
        """Two headers change their values."""
        headers = list(draft.headers)
        if len(headers) > 1:
            one, other = self._index(draft), (self.at // 7) % len(headers)
            (a, x), (b, y) = headers[one], headers[other]
            headers[one], headers[other] = (a, y), (b, x)
        return self._with(draft, headers)

    def _add(self, draft: Draft) -> Draft:
        name, value = self.what
        headers = list(draft.headers)
        headers.insert(self._index(draft), (str(name), str(value)))
        return self._with(draft, headers)

    def _set(self, draft: Draft) -> Draft:
        headers = list(draft.headers)
        if headers:
            headers[self._index(draft)] = (headers[self._index(draft)][0], str(self.what))
        return self._with(draft, headers)

    def _number(self, draft: Draft) -> Draft:
        return self._replaced(draft, _NUMBER, str(self.what))

    def _uri(self, draft: Draft) -> Draft:
        return self._replaced(draft, _URI, str(self.what))

    def _parameter(self, draft: Draft) -> Draft:
        return self._replaced(draft, _PARAMETER, f";{self.what}")

    def _replaced(self, draft: Draft, pattern: re.Pattern[str], what: str) -> Draft:
        """One of all places of that kind in start line and headers."""
        lines = [draft.start, *(value for _, value in draft.headers)]
        places = [(number, match) for number, line in enumerate(lines) for match in pattern.finditer(line)]
        if not places:
            return draft
        number, match = places[self.at % len(places)]
        lines[number] = lines[number][: match.start()] + what + lines[number][match.end() :]
        names = [name for name, _ in draft.headers]
        return replace(draft, start=lines[0], headers=tuple(zip(names, lines[1:], strict=True)))

    def _body(self, draft: Draft) -> Draft:
        assert isinstance(self.what, bytes)
        return replace(draft, body=self.what)

    def _length(self, draft: Draft) -> Draft:
        return replace(draft, length=str(self.what))

    def _line(self, draft: Draft) -> Draft:
        """A line of the body is replaced, or one comes before it."""
        lines = draft.body.split(b"\r\n")
        at = self.at // 2 % len(lines)
        lines[at : at + self.at % 2] = [str(self.what).encode()]
        return replace(draft, body=b"\r\n".join(lines))

    def _unline(self, draft: Draft) -> Draft:
        lines = draft.body.split(b"\r\n")
        del lines[self.at % len(lines)]
        return replace(draft, body=b"\r\n".join(lines))


def _kind(kind: str, what: st.SearchStrategy[object]) -> st.SearchStrategy[Change]:
    return st.builds(Change, st.just(kind), st.integers(0, 200), what)


CHANGES: st.SearchStrategy[Change] = st.one_of(
    _kind("drop", st.just("")),
    _kind("double", st.just("")),
    _kind("swap", st.just("")),
    _kind(
        "add", st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES + NUMBERS + tuple(f"<{uri}>" for uri in URIS)))
    ),
    _kind("set", st.sampled_from(VALUES + NUMBERS)),
    _kind("number", st.sampled_from(NUMBERS)),
    _kind("uri", st.sampled_from(URIS)),
    _kind("parameter", st.sampled_from(VALUES + NUMBERS)),
    _kind("body", st.sampled_from(BODIES)),
    _kind("length", st.sampled_from(NUMBERS)),
    _kind("line", st.sampled_from(SDP_LINES)),
    _kind("unline", st.just("")),
)
