"""What the exchanges of a country play when the other party has gone: their busy tone and their congestion tone.

Source: ITU-T, *Various tones used in national networks* (list to E.180), and the countries' own specifications. Other
tones are written out, such as `425/480,0/480` (`pbx.mediaproxy.cadence`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pbx.mediaproxy.cadence import Cadence, parse

_HALF = "425/500,0/500"
_BRITISH = "400/375,0/375; 400/400,0/350,400/225,0/525"
_AMERICAN = "480+620/500,0/500; 480+620/250,0/250"
_COUNTRIES: Mapping[str, str] = {
    "at": "420/400,0/400; 420/200,0/200",
    "au": "425/375,0/375",
    "be": f"{_HALF}; 425/167,0/167",
    "bg": f"{_HALF}; 425/250,0/250",
    "br": "425/250,0/250; 425/250,0/250,425/750,0/250",
    "ca": _AMERICAN,
    "ch": f"{_HALF}; 425/200,0/200",
    "cl": "400/500,0/500; 400/200,0/200",
    "cn": "450/350,0/350; 450/700,0/700",
    "cz": "425/330,0/330; 425/165,0/165",
    "de": "425/480,0/480; 425/240,0/240",
    "dk": f"{_HALF}; 425/200,0/200",
    "ee": "425/300,0/300; 425/200,0/200",
    "es": "425/200,0/200; 425/200,0/200,425/200,0/200,425/200,0/600",
    "fi": "425/300,0/300; 425/200,0/200",
    "fr": "440/500,0/500; 440/250,0/250",
    "gb": _BRITISH,
    "gr": "425/300,0/300; 425/200,0/200",
    "hu": "425/300,0/300",
    "id": f"{_HALF}; 425/250,0/250",
    "il": "414/500,0/500; 414/250,0/250",
    "in": "400/750,0/750; 400/250,0/250",
    "it": f"{_HALF}; 425/200,0/200",
    "jp": "400/500,0/500",
    "lt": "425/350,0/350; 425/200,0/200",
    "mx": "425/250,0/250",
    "my": _HALF,
    "nl": f"{_HALF}; 425/250,0/250",
    "no": f"{_HALF}; 425/200,0/200",
    "nz": "400/500,0/500; 400/250,0/250",
    "ph": _AMERICAN,
    "pl": _HALF,
    "pt": f"{_HALF}; 425/200,0/200",
    "ru": "425/350,0/350; 425/175,0/175",
    "se": "425/250,0/250; 425/250,0/750",
    "sg": "425/750,0/750; 425/250,0/250",
    "th": "400/500,0/500; 400/300,0/300",
    "tw": _AMERICAN,
    "uk": _BRITISH,
    "us": _AMERICAN,
    "ve": f"{_HALF}; 425/250,0/250",
    "za": "400/500,0/500; 400/250,0/250",
}


def countries() -> Sequence[str]:
    """Those that are known, as two letters."""
    return sorted(_COUNTRIES)


def tones(text: str) -> tuple[Cadence, ...]:
    """Those of a country, or as they are written; none of nothing. Raises ValueError."""
    words = text.strip().lower()
    if not words:
        return ()
    if words.isalpha() and words not in _COUNTRIES:
        raise ValueError(f"no tones are known of {text!r}; of {', '.join(countries())}, or write 425/480,0/480")
    return parse(_COUNTRIES.get(words, words))
