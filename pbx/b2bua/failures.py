"""One table from failures of ours to SIP statuses. A stranger reads the reason phrase of the status, no more."""

from __future__ import annotations

from base.failures import Failure

_STATUS = {
    "not-found": 404,
    "denied": 403,
    "invalid": 500,
    "busy": 486,
    "full": 503,
    "unavailable": 480,
    "exists": 500,
}


def status_of(failure: Failure) -> int:
    """The final status that tells a caller of this failure."""
    return _STATUS.get(failure.code, 500)
