"""Writes the pages that the code itself knows best: `python -m tools.ledgers`.

`docs/settings.md` comes from `directory.settings`; `docs/rfc.md` and `docs/quirks.md` from citations and tags in the
code (`RFC nnnn §n`, `Deviation:`, `Missing:`, `Interop:`, `Limit:`). A test fails when a page is not what this writes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from directory.settings import SETTINGS
from tools.workarounds_page import workarounds_page

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("base", "directory", "pbx", "mail", "cgpl", "admin", "apps", "gateways", "web", "server", "tools")
KINDS = (".py", ".lark", ".sppr", ".sppi")

TITLES = {
    1035: "Domain Names",
    1918: "Address Allocation for Private Internets",
    2045: "MIME: Format of Message Bodies",
    2046: "MIME: Media Types",
    2047: "MIME: Non-ASCII Text in Headers",
    2104: "HMAC",
    2177: "IMAP4 IDLE",
    2183: "Content-Disposition",
    2342: "IMAP4 NAMESPACE",
    2387: "MIME multipart/related",
    2392: "Content-ID URLs",
    2543: "SIP (the obsolete first edition)",
    2617: "HTTP Digest Authentication (obsolete)",
    2782: "DNS SRV",
    2833: "RTP Payload for DTMF (obsolete)",
    2971: "IMAP4 ID",
    3023: "XML Media Types",
    3261: "SIP: Session Initiation Protocol",
    3262: "SIP: Reliability of Provisional Responses",
    3263: "SIP: Locating SIP Servers",
    3264: "Offer/Answer Model with SDP",
    3265: "SIP Event Notification (obsolete)",
    3311: "SIP UPDATE",
    3323: "SIP Privacy",
    3325: "SIP Asserted Identity",
    3326: "SIP Reason Header",
    3327: "SIP Path",
    3329: "SIP Security Mechanism Agreement",
    3389: "RTP Payload for Comfort Noise",
    3403: "NAPTR",
    3428: "SIP MESSAGE",
    3458: "Message Context for Internet Mail",
    3501: "IMAP4rev1",
    3515: "SIP REFER",
    3550: "RTP",
    3551: "RTP Audio/Video Profile",
    3555: "MIME Registration of RTP Payloads",
    3581: "SIP: Symmetric Response Routing (rport)",
    3605: "RTCP Attribute in SDP",
    3608: "SIP Service-Route",
    3680: "SIP Registration Event Package",
    3711: "SRTP",
    3801: "Voice Profile for Internet Mail",
    3803: "Content-Duration",
    3834: "Automatic Responses to Electronic Mail",
    3842: "SIP Message Summary and Message Waiting",
    3856: "SIP Presence Event Package",
    3857: "SIP Watcher Information",
    3863: "Presence Information Data Format",
    3891: "SIP Replaces",
    3892: "SIP Referred-By",
    3903: "SIP PUBLISH",
    3911: "SIP Join",
    3927: "IPv4 Link-Local Addresses",
    3960: "Early Media and Ringing Tone in SIP",
    3966: "tel URI",
    3986: "URI: Generic Syntax",
    3994: "Indication of Message Composition",
    4028: "SIP Session Timers",
    4145: "TCP-Based Media Transport in SDP",
    4193: "Unique Local IPv6 Addresses",
    4235: "SIP Dialog Event Package",
    4291: "IPv6 Addressing Architecture",
    4315: "IMAP4 UIDPLUS",
    4320: "SIP Non-INVITE Transaction Fixes",
    4475: "SIP Torture Test Messages",
    4479: "Presence Data Model",
    4480: "Rich Presence",
    4488: "SIP REFER without Subscription",
    4566: "SDP (obsolete)",
    4568: "SDP Security Descriptions",
    4572: "Comedia over TLS in SDP (obsolete)",
    4575: "SIP Conference Event Package",
    4582: "The Binary Floor Control Protocol (BFCP)",
    4585: "Extended RTP Profile for RTCP Feedback",
    4594: "DiffServ Service Classes",
    4616: "SASL PLAIN",
    4648: "Base64",
    4662: "SIP Resource Lists",
    4731: "IMAP4 ESEARCH",
    4733: "RTP Payload for DTMF",
    4787: "NAT Behavior for UDP",
    4825: "XCAP",
    4826: "XML Formats for Resource Lists",
    4916: "SIP Connected Identity",
    5262: "Partial Presence",
    4961: "Symmetric RTP",
    4975: "The Message Session Relay Protocol (MSRP)",
    4978: "IMAP COMPRESS",
    5031: "A URN for Emergency Services",
    5057: "Multiple Dialog Usages in SIP",
    5116: "Authenticated Encryption Interface",
    5118: "SIP Torture Test Messages for IPv6",
    5161: "IMAP ENABLE",
    5245: "ICE (obsolete)",
    5246: "TLS 1.2 (obsolete)",
    5256: "IMAP SORT and THREAD",
    5258: "IMAP LIST Extensions",
    5280: "X.509 Certificates",
    5321: "SMTP",
    5322: "Internet Message Format",
    5359: "SIP Service Examples",
    5389: "STUN",
    5393: "SIP: Amplification by Forking Proxies",
    5506: "Reduced-Size RTCP",
    5530: "IMAP Response Codes",
    5589: "SIP Call Transfer",
    5621: "SIP Message Bodies",
    5626: "SIP Outbound: Client-Initiated Connections",
    5627: "SIP GRUU",
    5630: "SIPS URI Scheme",
    5658: "Record-Route Fix for SIP",
    5761: "RTP and RTCP on One Port",
    5763: "DTLS-SRTP in SIP",
    5764: "DTLS-SRTP",
    5766: "TURN",
    5769: "STUN Test Vectors",
    5806: "SIP Diversion Header",
    5819: "IMAP LIST-STATUS",
    5922: "SIP Domain Certificates",
    5923: "SIP Connection Reuse",
    6026: "SIP: 2xx of INVITE Transactions",
    6066: "TLS Extensions",
    6086: "SIP INFO Packages",
    6125: "TLS Server Identity (obsolete)",
    6135: "MSRP: Alternative Connection Model",
    6141: "SIP re-INVITE and Target Refresh",
    6154: "IMAP SPECIAL-USE",
    6177: "IPv6 Address Assignment to End Sites",
    6188: "AES-192 and AES-256 in SRTP",
    6347: "DTLS 1.2",
    6454: "The Web Origin Concept",
    6455: "WebSocket",
    6446: "SIP Event Rate Control",
    6464: "RTP Audio Level",
    6598: "Shared Address Space (100.64.0.0/10)",
    6665: "SIP Event Notification",
    6716: "Opus",
    6851: "IMAP MOVE",
    7022: "Guidelines for Choosing RTCP Canonical Names",
    7044: "SIP Request History (History-Info)",
    7118: "SIP over WebSocket",
    7162: "IMAP CONDSTORE and QRESYNC",
    7339: "SIP Overload Control",
    7350: "STUN over DTLS",
    7587: "RTP Payload for Opus",
    7616: "HTTP Digest Authentication",
    7675: "STUN Consent Freshness",
    7714: "AES-GCM in SRTP",
    7888: "IMAP LITERAL+ and LITERAL-",
    7983: "Telling STUN, DTLS and RTP Apart",
    8122: "TLS in SDP",
    8225: "PASSporT",
    8259: "JSON",
    8289: "Controlled Delay (CoDel)",
    8314: "TLS for Mail Access",
    8421: "ICE Multihomed Guidelines",
    8445: "ICE",
    8446: "TLS 1.3",
    8489: "STUN",
    8643: "An Opportunistic Approach for SRTP",
    8656: "TURN",
    8760: "SIP Digest with SHA-256",
    8827: "WebRTC Security Architecture",
    8829: "JavaScript Session Establishment Protocol (JSEP)",
    8834: "WebRTC Media Transport",
    8839: "SDP for ICE",
    8842: "DTLS in SDP",
    8866: "SDP",
    9110: "HTTP",
    9143: "BUNDLE",
    9147: "DTLS 1.3",
}

_CITATION = re.compile(r"RFC (\d{3,5})\b((?:,? ?(?:and |to |-)?§[0-9A-Z][\w.]*)*)")
_SECTION = re.compile(r"§([0-9A-Z][\w.]*)")
_NOT_THERE = re.compile(r'Missing: .*?(?=\n\s*\n|"""|\n[#\s]*(?:Deviation|Missing|Interop|Limit): )', re.DOTALL)
_CONTEXT = re.compile(r'^\s*"""')
_TAG = re.compile(r"\b(Deviation|Missing|Interop|Limit): (.*)$")
_CONSTANT = re.compile(r"^\s*([A-Za-z_][\w, ]*?)(?:: [\w\[\], |]+)? = (.+)$")


@dataclass(frozen=True, slots=True)
class Tagged:
    """One tagged remark: what it says, where, and the constant beside it, if any."""

    tag: str
    text: str
    module: str
    value: str = ""


def sources() -> list[Path]:
    """The product's own files; not the tests, nor this ledger with its titles."""
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.suffix in KINDS]
    return [path for path in found if path != Path(__file__).resolve()]


def citations() -> dict[int, dict[str, set[str]]]:
    """RFC number → section ("" for the whole) → modules."""
    cited: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sources():
        followed = _NOT_THERE.sub("", path.read_text("utf-8"))
        text = re.sub(r"\n\s*(?://|#)? *", " ", followed)  # a citation may go over a line's end
        for number, rest in _CITATION.findall(text):
            for section in _SECTION.findall(rest) or [""]:
                cited[int(number)][section.rstrip(".")].add(_module(path))
    return cited


def _module(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def remarks() -> list[Tagged]:
    """All tagged remarks, in the order of the floors."""
    return [remark for path in sources() for remark in _remarks(path)]


def _remarks(path: Path) -> Iterator[Tagged]:
    lines = path.read_text("utf-8").splitlines()
    for index, line in enumerate(lines):
        match = _TAG.search(line)
        if match is None:
            continue
        before, after = line[: match.start()], lines[index + 1 :]
        code, mark, _ = before.partition("#")
        if mark and code.strip():
            yield Tagged(match[1], match[2], _module(path), _constant(code))
        elif mark:
            more = _comment(after)
            yield Tagged(
                match[1], _joined([match[2], *more]), _module(path), _constant((after[len(more) :] or [""])[0])
            )
        else:
            # A device's need is told by what the function is for; other remarks stand for themselves.
            context = _CONTEXT.sub("", before).strip() if match[1] == "Interop" else ""
            said = [f"{context} {_capital(match[2])}".strip()]
            said += [] if '"""' in match[2] else _docstring(after)
            above = lines[index - 1] if before.strip() in ('"""', 'r"""') and index else ""
            yield Tagged(match[1], _joined(said).partition('"""')[0], _module(path), _constant(above))


def _comment(lines: Sequence[str]) -> list[str]:
    said: list[str] = []
    for line in lines:
        if not line.strip().startswith("# ") or _TAG.search(line):
            break
        said.append(line.strip()[2:])
    return said


def _docstring(lines: Sequence[str]) -> list[str]:
    said: list[str] = []
    for line in lines:
        if not line.strip() or line.strip() == '"""' or _TAG.search(line):
            break
        said.append(line.strip())
        if '"""' in line:
            break
    return said


def _joined(said: Sequence[str]) -> str:
    return " ".join(part.strip() for part in said)


def _constant(line: str) -> str:
    match = _CONSTANT.match(line.partition("  #")[0])
    return (
        "" if match is None or len(match[2]) > 60 or match[2].endswith(("(", "[", "{")) else f"{match[1]} = {match[2]}"
    )


def rfc_page() -> str:
    """docs/rfc.md."""
    cited = citations()
    lines = [
        "# Standards that the code follows",
        "",
        "Written by `python -m tools.ledgers`; do not edit. A section stands here when the code cites it as",
        "`RFC nnnn §n`, beside the line that obeys it. What we do otherwise is under [Deviations](#deviations),",
        "what of these documents is not there under [Not followed](#not-followed), each with its reason; what else",
        "does not work is in [gaps.md](gaps.md).",
        "",
    ]
    for number in sorted(cited):
        lines += [
            f"## RFC {number}{_title(number)}",
            "",
            "| section | cited in |",
            "|---|---|",
            *(
                f"| {f'§{section}' if section else 'as a whole'} | {_modules(cited[number][section])} |"
                for section in sorted(cited[number], key=_order)
            ),
            "",
        ]
    return "\n".join([*lines, *_deviations(), *_missing(), *_limits(), ""])


def _title(number: int) -> str:
    return f": {TITLES[number]}" if number in TITLES else ""


def _modules(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _order(section: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 10_000, part) for part in section.split(".")] if section else []


def _deviations() -> list[str]:
    return _told(
        "Deviation",
        "## Deviations",
        "Where we knowingly do otherwise. Workarounds for devices are in [quirks.md](quirks.md).",
    )


def _missing() -> list[str]:
    return _told("Missing", "## Not followed", "What is not there, and why.")


def _told(tag: str, heading: str, about: str) -> list[str]:
    rows = [f"| {_capital(_cell(one.text))} | `{one.module}` |" for one in remarks() if one.tag == tag]
    return [heading, "", about, "", "| what and why | where |", "|---|---|", *rows, ""]


def _limits() -> list[str]:
    rows = [
        f"| {_capital(_cell(one.text))} | {_value(one.value)} | `{one.module}` |"
        for one in remarks()
        if one.tag == "Limit"
    ]
    return [
        "## Limits",
        "",
        "Bounds that keep the server alive under bad or heavy input. They are constants in the code.",
        "",
        "| what it bounds | constant | where |",
        "|---|---|---|",
        *rows,
    ]


def _value(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def quirks_page() -> str:
    """docs/quirks.md."""
    rows = [f"| {_capital(_cell(one.text))} | `{one.module}` |" for one in remarks() if one.tag == "Interop"]
    return "\n".join(
        [
            "# What we do for the sake of devices and programs",
            "",
            "Written by `python -m tools.ledgers`; do not edit. Each row is an `Interop:` remark in the code:",
            "something that the standard does not ask for, and that telephones or mail clients in the field need.",
            "",
            "| what | where |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def settings_page() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{row.key}` | {row.kind.value} | {_default(row.default)} | {_cell(row.meaning + ' (limit)' * row.limit)} |"
        for row in SETTINGS.values()
    ]
    return "\n".join(
        [
            "# Settings of accounts, domains and the server",
            "",
            "Written by `python -m tools.ledgers` from `directory/settings.py`; do not edit.",
            "",
            "A value is looked up at the account, then at its domain, then at the server, then here. The next call",
            "uses a changed value; nothing needs a restart. What needs one is in [configuration.md](configuration.md).",
            "",
            "```sh",
            "tandem setting get alice                        # all, and which are the account's own",
            "tandem setting set alice VoicemailAfter 20      # of one account",
            "tandem setting set @example.org Language french # of a domain",
            "tandem setting set @ Operator bob               # of the whole server",
            "tandem setting set alice VoicemailAfter --default",
            "```",
            "",
            "A value that is inherited is shown as `default(30)`. A limit is changed by administrators of the server,",
            "and by those of a domain with the right [`Limits`](accounts.md#who-administers-what).",
            "",
            "Lists are written with commas: `tandem setting set pbx ReceptMenu sales,support,operator`.",
            "",
            "| setting | value | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def pages() -> dict[Path, str]:
    """Every generated page by its file."""
    docs = ROOT / "docs"
    return {
        docs / "settings.md": settings_page(),
        docs / "rfc.md": rfc_page(),
        docs / "quirks.md": quirks_page(),
        docs / "workarounds.md": workarounds_page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
