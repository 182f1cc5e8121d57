"""When media of a call that we only proxy must pass through us all the same, and its description with our places in it.

Pure. What is inside a section is nobody's business here: codecs, keys and payload numbers pass as they are. Left alone
is what finds its way by itself (ICE with DTLS, RFC 8445 and RFC 5763).

RFC 3264 (an offer and its answer each say where their author listens), RFC 8866 §5.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pbx.nat.detection import numeric
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.sdp import NOWHERE, Media, Origin, SessionDescription, network, nowhere
from pbx.sipcore.tcp_media import is_tcp

_PASSING_BY = frozenset(
    {
        "candidate", "end-of-candidates", "ice-lite", "ice-mismatch", "ice-options", "ice-pwd", "ice-ufrag",
        "remote-candidates", "rtcp",
    }
)  # fmt: skip
"""Other ways to its author than the one through us."""


@dataclass(frozen=True, slots=True)
class Party:
    """`said`: the address where it says that it can be reached; `source`: where its signalling comes from. `moved`: it
    names the address that it comes from, but another port."""

    said: str
    source: str
    moved: bool = False


def reason(where: Surroundings, caller: Party, callee: Party) -> str:
    """Why these two cannot send media to each other; empty when they can."""
    if (":" in caller.source) != (":" in callee.source):
        return "IPv4 and IPv6"
    if where.inside(caller.source) != where.inside(callee.source):
        return "inside and outside"
    if any(where.behind_nat(each.said, each.source) for each in (caller, callee)):
        return "behind a router"
    # RFC 4787 §4.1: STUN told it an address that its router has given it towards the STUN server only
    if any(each.moved and not where.inside(each.source) for each in (caller, callee)):
        return "behind a symmetric router"
    return ""


def moved(said: tuple[str, int], source: tuple[str, int]) -> bool:
    """A peer that calls itself by the host that it comes from, yet by another port."""
    return numeric(said[0]) == numeric(source[0]) and said[1] != source[1]


def anchorable(section: Media) -> bool:
    """RTP, plain or with keys in the description, T.38, and streams over TCP."""
    known = section.protocol.upper().startswith("RTP/") or section.protocol.lower() == "udptl" or is_tcp(section)
    return section.port > 0 and known


def first_address(description: SessionDescription) -> str:
    """Where its author listens; empty when nowhere."""
    for section in description.media:
        if anchorable(section):
            return description.address(section) or ""
    return ""


def anchored(
    theirs: SessionDescription, places: Mapping[int, tuple[str, int]], setups: Mapping[int, str] | None = None
) -> SessionDescription:
    """The description as the other party gets it. `places`: address and port of ours for each section; a section that
    could be relayed and has none is refused, and what is held with 0.0.0.0 stays so (RFC 3264 §8.4). `setups`: who
    connects, for sections over TCP.

    Interop: the o= line names our address as well; baresip looks there for the family of an offer, and refuses one of
    the other family.
    """
    first = next(iter(places.values()), None)
    lines = tuple(line for line in theirs.lines if not _passes_by(line))
    if first is not None:
        # a browser that we leave alone may need the session's c=
        alone = all(anchorable(each) or not each.port for each in theirs.media)
        lines = tuple(_session_line(line, theirs.origin, first[0], alone) for line in lines)
    media = tuple(_moved(theirs, at, each, places, setups or {}) for at, each in enumerate(theirs.media))
    return SessionDescription(lines, media)


def _session_line(line: str, origin: Origin | None, ours: str, alone: bool) -> str:
    if line.startswith("o=") and origin is not None:
        return str(replace(origin, address=ours))
    return _connected(line.split()[-1], ours) if line.startswith("c=") and alone else line


def _connected(said: str | None, ours: str) -> str:
    """A c= line of ours for one that said where they are; who does not listen still does not."""
    return f"c={network(nowhere(ours) if said in NOWHERE else ours)}"


def _moved(
    theirs: SessionDescription,
    at: int,
    section: Media,
    places: Mapping[int, tuple[str, int]],
    setups: Mapping[int, str],
) -> Media:
    if not anchorable(section):
        return section
    place = places.get(at)
    if place is None:
        return section.rejected()
    connection = _connected(theirs.address(section), place[0])
    rest = [line for line in section.lines[1:] if not line.startswith("c=") and not _passes_by(line)]
    titles = [line for line in rest if line.startswith("i=")]  # RFC 8866 §5: i= comes before c=
    others = [line for line in rest if not line.startswith("i=")]
    if at in setups:
        others = [*(line for line in others if not line.startswith("a=setup:")), f"a=setup:{setups[at]}"]
    first = f"m={section.kind} {place[1]} {section.protocol} {' '.join(section.formats)}"
    return section.with_lines([first, *titles, connection, *others])


def _passes_by(line: str) -> bool:
    return line.startswith("a=") and line[2:].partition(":")[0].strip().lower() in _PASSING_BY
