"""One party's session description as the other party sees it: our addresses and our protection, their media. Pure.

Offers pass with all that they offer, at our places; answers pass with nothing in them that was not offered, and with
the offerer's payload numbers. What cannot be passed is refused and keeps its place. RFC 3264 §5, §6, §8.

Missing: a handshake where a fingerprint stands beside plain audio (RFC 8643), since one that fails would leave a call
silent.
Missing: facsimile over DTLS (RFC 7345), for what is relayed untouched has no keys of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pbx.sipcore.bundle import bundled
from pbx.sipcore.offer_answer import DTMF, is_speech, section_at
from pbx.sipcore.sdp import MAX_MEDIA, NOWHERE, Media, Origin, SessionDescription, network, nowhere, payload_of
from pbx.sipcore.tcp_media import is_tcp

# What a relay that ends ICE and encryption must not pass on: the other side would talk past it
_ENDED = frozenset(
    {
        "candidate", "crypto", "end-of-candidates", "fingerprint", "group", "ice-lite", "ice-mismatch", "ice-options",
        "ice-pwd", "ice-ufrag", "remote-candidates", "rtcp", "rtcp-mux", "rtcp-mux-only", "setup", "tls-id", "mid",
        "identity",
    }
)  # fmt: skip
_OUTER = frozenset({"candidate", "end-of-candidates", "ice-pwd", "ice-ufrag", "remote-candidates", "mid", "rtcp"})
# What only browsers have a use for; a hundred lines of it do not fit a datagram
_WEB = frozenset(
    {
        "extmap", "extmap-allow-mixed", "msid", "msid-semantic", "rid", "rtcp-rsize", "simulcast", "ssrc", "ssrc-group",
        "bundle-only",
    }
)  # fmt: skip
NUMBERS = {"PCMU/8000": 0, "GSM/8000": 3, "PCMA/8000": 8, "G722/8000": 9, "G729/8000": 18}
SPELLED = {"OPUS/48000/2": "opus/48000/2", DTMF: "telephone-event/8000"}


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where a section of ours is, under which protocol, and the lines that belong to that."""

    address: str
    port: int
    protocol: str
    lines: tuple[str, ...] = ()


Outlets = Mapping[int, Outlet]
"""By the place of the section; what has none is refused."""


def passed_offer(
    theirs: SessionDescription,
    origin: Origin,
    outlets: Outlets,
    *,
    web: bool = False,
    more: Sequence[str] = (),
    used: Mapping[int, str] | None = None,
    before: SessionDescription | None = None,
) -> SessionDescription:
    """An offer to another party. `more` are codecs of ours for audio, behind theirs; `used` are payload numbers that
    have had a meaning in this session and keep it (RFC 3264 §8.3.2); `before` is our description until now, none of
    whose sections may vanish (§8). Attributes of browsers stay when `web`."""
    sections: list[Media] = []
    named = {each for section in theirs.media for each in section.formats}
    for at, each in enumerate(theirs.media):
        outlet = outlets.get(at)
        if outlet is None or not each.port:
            sections.append(_refused(each, [str(at)] if web else ()))
            continue
        section = each
        if each.kind == "audio" and each.is_rtp:
            section = _renumbered(_with_more(each, more, named), used or {})
        if web:
            section = _spelled_out(section)
        sections.append(_moved(section, theirs, outlet, _unwanted(web), [str(at)] if web else ()))
    if before is not None:
        sections += [each.rejected() for each in before.media[len(sections) : MAX_MEDIA]]
    made = _assembled(theirs, origin, sections, outlets, web=web)
    return bundled(made) if web else made


def passed_answer(
    offer: SessionDescription,
    theirs: SessionDescription,
    origin: Origin,
    outlets: Outlets,
    *,
    speaks: Sequence[str] = (),
) -> SessionDescription:
    """The answer to `offer` that another party's answer to our passed offer amounts to. `speaks` are codecs that we
    translate into when nothing that the other party takes was offered."""
    sections: list[Media] = []
    for at, asked in enumerate(offer.media):
        got, outlet = section_at(theirs, at), outlets.get(at)
        section = None
        if got is not None and got.port and outlet is not None and asked.port and got.kind == asked.kind:
            section = _answered(asked, got, speaks)
        if section is None or outlet is None:
            sections.append(_refused(asked, asked.attributes("mid")))
        else:
            sections.append(_moved(section, theirs, outlet, _ENDED | _WEB, asked.attributes("mid")))
    return bundled(_assembled(theirs, origin, sections, outlets, web=False), offer)


def _refused(section: Media, mid: Sequence[str]) -> Media:
    """It keeps its name; Chromium takes one without for another "0" (RFC 8829 §5.2.2)."""
    refused = section.rejected()
    return refused.with_lines([*refused.lines, *(f"a=mid:{value}" for value in mid[:1])])


def _answered(asked: Media, got: Media, speaks: Sequence[str]) -> Media | None:
    """The section of the answer, before it is moved; None: it is refused."""
    if asked.kind == "audio" and asked.is_rtp:
        return _answered_audio(asked, got, speaks)
    kept = [each for each in got.formats if each in asked.formats]
    return _only(got, kept, {}) if kept else None


def _answered_audio(asked: Media, got: Media, speaks: Sequence[str]) -> Media | None:
    offered = asked.payload_types
    numbers: dict[str, int] = {}
    for number, name in offered.items():
        numbers.setdefault(name, number)
    renamed = {
        str(number): str(number if offered.get(number) == name else numbers[name])
        for number, name in got.payload_types.items()
        if name in numbers
    }
    if any(is_speech(offered[int(number)]) for number in renamed.values()):
        return _only(got, [each for each in got.formats if each in renamed], renamed)
    chosen = next((number for number, name in offered.items() if name in speaks), None)
    if chosen is None:
        return None
    kept = [
        chosen,
        *(number for number, name in offered.items() if name == DTMF and DTMF in got.payload_types.values()),
    ]
    lines = [line for line in got.lines[1:] if payload_of(line) is None]
    for number in kept:
        lines += _mapped(number, offered[number])
    first = f"m=audio {got.port} {got.protocol} {' '.join(map(str, kept))}"
    return got.with_lines([first, *lines])


def _only(section: Media, kept: Sequence[str], renamed: Mapping[str, str]) -> Media:
    """The section with only these formats, under other numbers where `renamed` says so."""
    wanted = set(kept)
    lines = []
    for line in section.lines[1:]:
        number = payload_of(line)
        if number is None or number == "*":
            lines.append(line)
        elif number in wanted:
            lines.append(_with_number(line, number, renamed.get(number, number)))
    named = [renamed.get(each, each) for each in kept]
    first = f"m={section.kind} {section.port} {section.protocol} {' '.join(dict.fromkeys(named))}"
    return section.with_lines([first, *dict.fromkeys(lines)])


def _with_number(line: str, old: str, new: str) -> str:
    head, colon, rest = line.partition(":")
    return f"{head}{colon}{new}{rest[len(old) :]}" if old != new else line


def _spelled_out(section: Media) -> Media:
    """Interop: browsers want an a=rtpmap of static numbers too (RFC 8829 §5.2.1)."""
    named = {value.split(" ", 1)[0] for value in section.attributes("rtpmap")}
    lines = [
        line
        for number, name in section.payload_types.items()
        if str(number) not in named
        for line in _mapped(number, name)
    ]
    return section.with_lines([*section.lines, *lines])


def _with_more(section: Media, more: Iterable[str], others: Collection[str]) -> Media:
    """Codecs of ours behind theirs, so that a far phone without any of theirs can still take the call. `others`:
    numbers of all sections, which may come to share a port (RFC 9143 §9.1.1)."""
    named = section.payload_types
    if not any(name in more for name in named.values()):
        return section  # nothing of theirs that we could translate from
    taken = {*section.formats, *others}
    lines: list[str] = []
    added: list[str] = []
    for name in more:
        if name in named.values():
            continue
        number = _free(name, taken)
        if number is not None:
            taken.add(str(number))
            added.append(str(number))
            lines += _mapped(number, name)
    first = f"m={section.kind} {section.port} {section.protocol} {' '.join((*section.formats, *added))}"
    return section.with_lines([first, *section.lines[1:], *lines])


def _free(name: str, taken: Collection[str]) -> int | None:
    if name in NUMBERS and str(NUMBERS[name]) not in taken:
        return NUMBERS[name]
    return next((number for number in range(96, 128) if str(number) not in taken), None)


def _mapped(number: int, name: str) -> list[str]:
    lines = [f"a=rtpmap:{number} {SPELLED.get(name, name)}"]
    return [*lines, f"a=fmtp:{number} 0-15"] if name == DTMF else lines


def _renumbered(section: Media, used: Mapping[int, str]) -> Media:
    """A number that meant something else in this session gives way."""
    named = section.payload_types
    clashes = [number for number, name in named.items() if number >= 96 and used.get(number, name) != name]
    if not clashes:
        return section
    renamed: dict[str, str] = {}
    taken = {str(number) for number in used} | set(section.formats)
    for number in clashes:
        same = next((old for old, name in used.items() if name == named[number] and old not in named), None)
        new = same if same is not None else next((each for each in range(96, 128) if str(each) not in taken), None)
        if new is not None:
            taken.add(str(new))
            renamed[str(number)] = str(new)
    kept = [each for each in section.formats if each in renamed or not each.isdigit() or int(each) not in clashes]
    return _only(section, kept, renamed)


def _unwanted(web: bool) -> frozenset[str]:
    return _ENDED if web else _ENDED | _WEB


def _moved(
    section: Media,
    theirs: SessionDescription,
    outlet: Outlet,
    unwanted: frozenset[str],
    mid: Sequence[str] = (),
) -> Media:
    # RFC 3264 §8.4: the old way to hold is passed on as it is
    held = theirs.address(section) in NOWHERE
    ours = f"c={network(nowhere(outlet.address) if held else outlet.address)}"
    first = f"m={section.kind} {outlet.port} {outlet.protocol} {' '.join(section.formats)}"
    if not section.is_rtp:
        unwanted = _OUTER | {"setup"} if is_tcp(section) else _OUTER  # over what certificate is between the two
    lines = [ours if line.startswith("c=") else line for line in section.lines[1:] if not _named(line, unwanted)]
    return section.with_lines([first, *lines, *(f"a=mid:{value}" for value in mid[:1]), *outlet.lines])


def _assembled(
    theirs: SessionDescription, origin: Origin, sections: list[Media], outlets: Outlets, *, web: bool
) -> SessionDescription:
    address = next((outlet.address for outlet in outlets.values()), origin.address)
    held = any(line.startswith("c=") and line.split()[-1] in NOWHERE for line in theirs.lines)
    ours = f"c={network(nowhere(address) if held else address)}"
    unwanted = _unwanted(web)
    lines = [_session_line(line, ours, origin) for line in theirs.lines if not _named(line, unwanted)]
    bare = any(each.port and not any(line.startswith("c=") for line in each.lines) for each in sections)
    if bare and ours not in lines:
        at = next((place for place, line in enumerate(lines) if line[0] in "btrzka"), len(lines))
        lines.insert(at, ours)  # RFC 8866 §5: the order of lines is fixed
    if any(line.startswith("a=ice-ufrag:") for each in sections for line in each.lines):
        lines.append("a=ice-lite")  # RFC 8839 §5.3
    return SessionDescription(tuple(lines), tuple(sections))


def _session_line(line: str, connection: str, origin: Origin) -> str:
    if line.startswith("c="):
        return connection
    return str(origin) if line.startswith("o=") else line


def _named(line: str, names: Collection[str]) -> bool:
    return line.startswith("a=") and line[2:].partition(":")[0].strip().lower() in names


def guarded(description: SessionDescription, at: int, protocol: str, lines: Sequence[str]) -> SessionDescription:
    """A description that we made ourselves, with one section under that protocol and with those lines."""
    section = description.media[at]
    first = f"m={section.kind} {section.port} {protocol} {' '.join(section.formats)}"
    media = list(description.media)
    media[at] = section.with_lines([first, *section.lines[1:], *lines])
    lite = ("a=ice-lite",) if any(line.startswith("a=ice-ufrag:") for line in lines) else ()
    return SessionDescription((*description.lines, *lite), tuple(media))


def in_place(
    made: SessionDescription, before: SessionDescription | None, used: Mapping[int, str]
) -> tuple[SessionDescription, int]:
    """An offer of ours with one section, in the place of the audio that was, and that place; what else there was is
    refused. `used` as in `passed_offer`. RFC 3264 §8, §8.3.2."""
    section = _renumbered(made.media[0], used)
    if before is None:
        return SessionDescription(made.lines, (section,)), 0
    audio = before.audio
    at = len(before.media) if audio is None else before.media.index(audio)
    media = [each.rejected() for each in before.media]
    return SessionDescription(made.lines, (*media[:at], section, *media[at + 1 :])), at


def numbers_of(description: SessionDescription) -> dict[int, str]:
    """What the payload numbers of the audio sections mean."""
    found: dict[int, str] = {}
    for section in description.media:
        if section.kind == "audio" and section.is_rtp:
            found.update(section.payload_types)
    return found


def relayable(media: Media, wanted: Callable[[Media], bool] = lambda _media: True) -> bool:
    """Sections besides the audio that go through our ports unread: RTP (video, text), T.38, and streams over TCP."""
    if not media.port or not wanted(media) or _without_a_place(media):
        return False
    return media.is_rtp or is_datagrams(media) or is_tcp(media)


def _without_a_place(media: Media) -> bool:
    """Bundled with the audio and nowhere else (RFC 9143 §7.2): no candidates, and a port that discards all.

    Interop: Chromium with the policy "max-bundle", which takes no answer that has such a section outside the group; it
    is relayed where it rides with the audio (`bundle`).
    """
    return media.is_rtp and media.port == 9 and bool(media.attributes("mid")) and not media.attributes("candidate")


def is_datagrams(media: Media) -> bool:
    """T.38 (ITU-T T.38 Annex D) and BFCP over UDP: datagrams that we need not understand."""
    return media.protocol.lower() in ("udptl", "udp/bfcp")
