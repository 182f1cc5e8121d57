"""How one media section towards one peer is protected: what we offer, what we answer, and what both then use. Pure.

One guard a section a leg; it remembers its keys, so that a later offer repeats them, and what was agreed on, so that
nothing is ever made less than it was. RFC 4568 (SDES), RFC 5763 and RFC 5764 (DTLS-SRTP), RFC 8643 (opportunistic),
RFC 8839 §4.1 (ICE, as a lite agent), RFC 5761 (RTP and RTCP on one port).
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from base.entropy import Entropy
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.sdp import Media, SessionDescription
from pbx.sipcore.sdp_security import SUITES, Browserly, Crypto, browserly, control_address, cryptos, has_mux

WEB = "UDP/TLS/RTP/SAVPF"
TELEPHONE = "UDP/TLS/RTP/SAVP"
"""RFC 5764 §8; of a telephone it is not known whether it takes feedback (SAVPF)."""


class MediaSecurity(enum.Enum):
    """What a party is allowed and asked to do (setting `MediaSecurity`).

    OFF: nothing is encrypted. OPTIONAL: whatever the peer asks for; offered by us where signalling is encrypted too.
    REQUIRED: what is not encrypted is refused, towards the other party as well.
    """

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


def media_security(value: object) -> MediaSecurity:
    """From a setting; what is not known is OPTIONAL."""
    text = str(value).lower()
    return next((each for each in MediaSecurity if each.value == text), MediaSecurity.OPTIONAL)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a leg's guards share: `private` signalling is encrypted, `web` is a browser; `keys` and `dtls` a telephone
    that has refused what else we offer, and is offered SDES alone, then DTLS-SRTP alone; `fingerprint` is of our
    certificate, known when there is a stream."""

    entropy: Entropy
    security: MediaSecurity
    private: bool
    web: bool
    fingerprint: Callable[[], str]
    dtls: bool = False
    keys: bool = False


def can_encrypt(offer: SessionDescription) -> bool:
    """Whether the answer to an offer of audio can be encrypted."""
    audio = offer.audio
    return audio is None or audio.is_encrypted or bool(cryptos(audio))


@dataclass(frozen=True, slots=True)
class Guarded:
    """A section's protocol and the lines that go with it."""

    protocol: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Protection:
    """What both sides agreed on. `srtp` is (suite, our key, theirs, the name of theirs), `dtls` (their fingerprints,
    whether we begin), `ice` (our name, our password, their name)."""

    srtp: tuple[str, bytes, bytes, bytes] | None = None
    dtls: tuple[tuple[tuple[str, str], ...], bool] | None = None
    ice: tuple[str, str, str] | None = None
    mux: bool = False
    control: tuple[str, int] | None = None

    @property
    def encrypted(self) -> bool:
        return self.srtp is not None or self.dtls is not None


@dataclass(slots=True)
class _Ours:
    """What we have said last: keys, a fingerprint (then `setup` says who begins), or in an offer both."""

    keys: list[Crypto] = field(default_factory=list)
    mux: bool = False
    setup: str = ""


class SectionGuard:
    """See the head of the module."""

    def __init__(self, circumstances: Circumstances) -> None:
        self._about = circumstances
        self._keys: dict[str, bytes] = {}
        self._ice: tuple[str, str] | None = None
        self._said = _Ours()
        self._before = Protection()
        self._profile = ""  # under which DTLS-SRTP was agreed on

    @property
    def encrypted(self) -> bool:
        """Whether it was agreed that this section is encrypted."""
        return self._before.encrypted

    def require(self) -> None:
        """From now on what is not encrypted is refused."""
        self._about = replace(self._about, security=MediaSecurity.REQUIRED)

    # --- we offer

    def offer(self, place: tuple[str, int]) -> Guarded:
        """For an offer of ours, of an RTP section at `place`."""
        about, before = self._about, self._before
        if before.dtls is not None or ((about.web or about.dtls) and before.srtp is None):
            return self._offer_dtls(place)
        wanted = before.srtp is not None or about.keys or about.security is MediaSecurity.REQUIRED
        hoped = about.security is MediaSecurity.OPTIONAL and about.private
        if not (wanted or hoped):
            self._said = _Ours()
            return Guarded("RTP/AVP")
        suites = list(SUITES) if before.srtp is None else [before.srtp[0]]
        keys = [Crypto(tag, suite, self._key(suite)) for tag, suite in enumerate(_offered(suites), 1)]
        # RFC 8643 §3: an opportunistic offer has the plain profile with keys in it
        profile = "RTP/SAVP" if wanted else "RTP/AVP"
        # Interop: baresip set to dtls_srtp answers keys with a fingerprint, and waits for ours (RFC 8643 §3.1)
        both = before.srtp is None and bool(about.fingerprint())
        self._said = _Ours(keys, setup="actpass" if both else "")
        lines = tuple(str(key) for key in keys)
        return Guarded(profile, (*lines, *self._fingerprint_lines("actpass")) if both else lines)

    def _offer_dtls(self, place: tuple[str, int]) -> Guarded:
        dtls = self._before.dtls
        setup = "actpass" if dtls is None else ("active" if dtls[1] else "passive")
        self._said = _Ours(mux=True, setup=setup)
        lines = (*self._fingerprint_lines(setup), "a=rtcp-mux")
        bare = self._before.ice is None and (dtls is not None or not self._about.web)
        profile = self._profile or (WEB if self._about.web else TELEPHONE)
        return Guarded(profile, lines if bare else (*lines, *self._ice_lines(place)))

    def _fingerprint_lines(self, setup: str) -> tuple[str, str]:
        return f"a=fingerprint:{self._about.fingerprint()}", f"a=setup:{setup}"

    # --- we answer

    def answer(self, description: SessionDescription, media: Media, place: tuple[str, int]) -> Guarded:
        """For our answer to their section. Raises NotAcceptable when it asks for more or less than is allowed."""
        about = self._about
        web = browserly(description, media)
        self._said = _Ours(mux=has_mux(media))
        mux = ("a=rtcp-mux",) if self._said.mux else ()
        keys = cryptos(media)
        alone = media.is_encrypted and (not keys or "TLS" in media.protocol.upper())
        if web is not None and about.security is not MediaSecurity.OFF and (alone or self._before.dtls is not None):
            return Guarded(media.protocol, (*self._answer_web(web, place), *mux))
        if keys and about.security is not MediaSecurity.OFF:
            chosen = self._choose(keys)
            self._said.keys = [Crypto(chosen.tag, chosen.suite, self._key(chosen.suite))]
            return Guarded(media.protocol, (str(self._said.keys[0]), *mux))
        if media.is_encrypted:
            raise NotAcceptable("No encryption that we can do")
        if about.security is MediaSecurity.REQUIRED or self._before.encrypted:
            raise NotAcceptable("Unencrypted media are not taken")
        return Guarded(media.protocol, mux)

    def _choose(self, keys: list[Crypto]) -> Crypto:
        """RFC 4568 §5.1.2: the offerer's favourite that we know; the suite in use stays while it is offered."""
        used = self._before.srtp
        return next((key for key in keys if used is not None and key.suite == used[0]), keys[0])

    def _answer_web(self, web: Browserly, place: tuple[str, int]) -> tuple[str, ...]:
        # RFC 5763 §5: who may choose lets the other one begin; in a session that stands, the roles stay
        dtls = self._before.dtls
        if dtls is not None and web.setup == "actpass":
            setup = "active" if dtls[1] else "passive"
        else:
            setup = "active" if web.setup == "passive" else "passive"
        self._said.setup = setup
        lines = self._fingerprint_lines(setup)
        return (*lines, *self._ice_lines(place)) if web.ice is not None else lines

    # --- both have spoken

    def settle(self, description: SessionDescription, media: Media) -> Protection:
        """What follows from what we said last and from their section. Raises NotAcceptable."""
        said = self._said
        mux = said.mux and has_mux(media)
        control = control_address(description, media)
        srtp = self._settle_keys(said.keys, cryptos(media)) if said.keys else None
        web = browserly(description, media) if said.setup and srtp is None else None
        if web is not None:
            found = self._settle_web(web, mux)
        elif said.setup and not said.keys:
            raise NotAcceptable("No fingerprint")
        else:
            found = Protection(srtp, mux=mux, control=None if mux else control)
        wanted = media.is_encrypted or self._before.encrypted or self._about.security is MediaSecurity.REQUIRED
        if wanted and not found.encrypted:
            raise NotAcceptable("The media would not be encrypted")  # never less than was asked for
        self._before, self._profile = found, media.protocol if found.dtls is not None else ""
        return found

    def _settle_web(self, web: Browserly, mux: bool) -> Protection:
        begin = self._said.setup == "active" or (self._said.setup == "actpass" and web.setup == "passive")
        ours = self._ice
        ice = None if web.ice is None or ours is None else (ours[0], ours[1], web.ice[0])
        return Protection(dtls=(web.fingerprints, begin), ice=ice, mux=mux)

    def _settle_keys(self, ours: list[Crypto], theirs: list[Crypto]) -> tuple[str, bytes, bytes, bytes] | None:
        """An answer names the tag of the offer that it takes (RFC 4568 §5.1.2)."""
        for mine in ours:
            for key in theirs:
                if (key.tag, key.suite) == (mine.tag, mine.suite):
                    return mine.suite, mine.key, key.key, key.mki
        return None

    # --- secrets

    def _key(self, suite: str) -> bytes:
        """One key for each suite, the same through the session."""
        key = self._keys.get(suite)
        if key is None:
            key = self._keys[suite] = self._about.entropy.octets(SUITES[suite])
        return key

    def _ice_lines(self, place: tuple[str, int]) -> tuple[str, ...]:
        """RFC 8839 §5.1: one candidate, since a lite agent has nothing to look for."""
        if self._ice is None:
            secret = self._about.entropy.octets(24)
            text = base64.b64encode(secret).decode()
            self._ice = (text[:8], text[8:])
        return (
            f"a=ice-ufrag:{self._ice[0]}",
            f"a=ice-pwd:{self._ice[1]}",
            f"a=candidate:1 1 UDP 2130706431 {place[0]} {place[1]} typ host",
            "a=end-of-candidates",
        )


def _offered(suites: list[str]) -> list[str]:
    """Interop: first the suite that every phone knows, then the better ones; pjsip takes the first it can."""
    return sorted(suites, key=lambda suite: suite != "AES_CM_128_HMAC_SHA1_80")
