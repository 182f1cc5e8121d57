"""Who connects to whom in a section over TCP, where a relay stands between the two. Pure. RFC 4145 §4, RFC 6135.

A party that connects to us needs no hole in its router, so each is let do so where it can: then both of them connect.

Deviation: over TLS the roles of RFC 4145 pass from one party to the other, since who connects is the client of a
handshake that we do not end, and there must be one client and one server.
Missing: streams over TLS whose server is behind a router (RFC 8122), for it cannot be reached and is told no other
role; our own certificate in its place would end the encryption of what we pass on untouched.
"""

from __future__ import annotations

from pbx.sipcore.sdp import Media, SessionDescription

Section = tuple[SessionDescription, Media]


def is_tcp(media: Media) -> bool:
    """RFC 4145, RFC 4975 (MSRP), RFC 4582 (BFCP)."""
    return media.protocol.upper().startswith("TCP/") and "RTP" not in media.protocol.upper()


def setup_of(section: Section) -> str:
    """`active`, `passive`, `actpass`, `holdconn`; empty when nothing is said."""
    description, media = section
    values = media.attributes("setup") or description.attributes("setup")
    return values[0].strip().lower() if values else ""


def setup_to_offer(theirs: Section) -> str:
    """What our offer says that passes this section on."""
    said = setup_of(theirs) or "active"
    return said if said == "holdconn" or _over_tls(theirs) else "actpass"


def setup_to_answer(asked: Section, theirs: Section) -> str:
    """What our answer to `asked` says, after the other party's answer `theirs`."""
    wanted, said = setup_of(asked), setup_of(theirs) or "passive"
    if "holdconn" in (wanted, said) or _over_tls(theirs):
        return said
    return "active" if wanted == "passive" else "passive"


def connects(ours: Section, theirs: Section) -> bool:
    """Whether it is we who connect to them, by what both have said last; who does not know the attribute waits for who
    has made the offer."""
    said = setup_of(ours)
    return said == "active" or (said == "actpass" and setup_of(theirs) in ("", "passive"))


def _over_tls(section: Section) -> bool:
    return "TLS" in section[1].protocol.upper()
