"""The list of all cases: a module with `run()`, what it measures, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """`module` in this package. `limit`: seconds after which it is given up. `needs_sipp`: skipped without it."""

    name: str
    module: str
    title: str
    limit: int = 30
    needs_sipp: bool = False


CASES = (
    Case("registration", "whole_registration", "whole server: registrations with digest", 100, needs_sipp=True),
    Case("calls", "whole_calls", "whole server: proxied and B2BUA calls", 100, needs_sipp=True),
    Case("attendant", "whole_attendant", "whole server: calls answered by a program", 60, needs_sipp=True),
    Case("audio", "whole_audio", "whole server: relayed and played packets, memory of calls", 60),
    Case("voicemail", "whole_voicemail", "whole server: from hang-up to the mail client", 40),
    Case("sip", "sip_messages", "SIP messages and transactions alone"),
    Case("directory", "directory", "look-ups and changes of accounts"),
    Case("language", "language", "CG/PL"),
    Case("programs", "apps", "programs without signalling and audio"),
    Case("mail", "mail", "delivery and store", 40),
    Case("media", "media", "the media worker alone", 40),
    Case("doors", "registration", "registrar and sockets alone, one phone at a time"),
    Case("switchboard", "calls", "calls without a media engine", 40, needs_sipp=True),
)


def chosen(only: list[str]) -> list[Case]:
    """Those whose name is in `only`, all when it is empty. Raises ValueError for a name that is none."""
    unknown = sorted(set(only) - {case.name for case in CASES})
    if unknown:
        raise ValueError(f"no such case: {', '.join(unknown)}")
    return [case for case in CASES if not only or case.name in only]
