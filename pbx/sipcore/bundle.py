"""Media that share a port (BUNDLE), as descriptions tell of it. Pure. RFC 9143.

What we bundle rides on the port of the audio, which has to stand before it.
"""

from __future__ import annotations

from pbx.sipcore.sdp import Media, SessionDescription


def riders(description: SessionDescription) -> frozenset[int]:
    """The places of the sections that its author has put into one group with the audio."""
    mid = _mid(description.audio)
    groups = [value.split()[1:] for value in description.attributes("group") if value.split()[:1] == ["BUNDLE"]]
    group = next((group for group in groups if group[:1] == [mid]), ())
    return frozenset(at for at in _fitting(description) if _mid(description.media[at]) in group)


def opened(offer: SessionDescription) -> SessionDescription:
    """With the sections that are offered at port 0 since they have no place of their own (RFC 9143 §6) at the port that
    discards all, which is how Chromium offers them. Elsewhere port 0 says that a section is not wanted."""
    heads = {section.attributes("mid")[0] for section in offer.media if section.port and section.attributes("mid")}
    groups = [value.split()[1:] for value in offer.attributes("group") if value.split()[:1] == ["BUNDLE"]]
    members = {mid for group in groups if heads.intersection(group[:1]) for mid in group}
    media = [_at_port_9(each) if bundle_only(each) and _mid(each) in members else each for each in offer.media]
    return SessionDescription(offer.lines, tuple(media))


def bundle_only(section: Media) -> bool:
    """It is wanted on the port of another one or not at all."""
    return bool(section.attributes("bundle-only"))


def _at_port_9(section: Media) -> Media:
    if section.port:
        return section
    first = f"m={section.kind} 9 {section.protocol} {' '.join(section.formats)}"
    return section.with_lines([first, *section.lines[1:]])


def bundled(ours: SessionDescription, asked: SessionDescription | None = None) -> SessionDescription:
    """With a group of the audio and of what may ride with it; in an answer, to an offer `asked` that has the audio in
    a group, of what shares its port (RFC 9143 §7.3).

    Interop: a browser with the policy "max-bundle" takes no description without a group.
    """
    audio = ours.audio
    mid = _mid(audio)
    if audio is None or not mid or (asked is not None and not _in_a_group(asked, mid)):
        return ours
    together = [ours.media[at] for at in _fitting(ours) if asked is None or ours.media[at].port == audio.port]
    group = " ".join((mid, *map(_mid, together)))
    return SessionDescription((*ours.lines, f"a=group:BUNDLE {group}"), ours.media)


def _fitting(description: SessionDescription) -> list[int]:
    """The places of RTP behind the audio that has a name, and payload numbers of its own (RFC 9143 §9.1.1)."""
    audio, found = description.audio, list[int]()
    taken = set[str]()
    for at, section in enumerate(description.media):
        if section is audio:
            taken.update(section.formats)
        elif taken and section.port and section.is_rtp and _mid(section) and taken.isdisjoint(section.formats):
            found.append(at)
            taken.update(section.formats)
    return found


def _mid(section: Media | None) -> str:
    return next(iter(section.attributes("mid")), "") if section is not None else ""


def _in_a_group(description: SessionDescription, mid: str) -> bool:
    groups = (value.split() for value in description.attributes("group"))
    return any(group[:1] == ["BUNDLE"] and mid in group[1:] for group in groups)
