"""Everything that a running Task may use, gathered once by the host. Plain data; nothing here acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.clips import Clips
from apps.environment import Environment
from apps.files import AccountFiles
from apps.meetings import Meetings
from apps.pins import PinGuard
from apps.ports import CallLog, Letters, People, Post, Wave
from apps.queues import Queues
from apps.spool import Spool
from base.clock import Clock
from base.entropy import Entropy
from base.metrics import Metrics
from pbx.programs import Legs


@dataclass(frozen=True, slots=True)
class Services:
    """The host's ports and its shared tables."""

    environment: Environment
    people: People
    letters: Letters
    post: Post
    legs: Legs
    clock: Clock
    entropy: Entropy
    metrics: Metrics
    spool: Spool
    clips: Clips
    files: AccountFiles
    calls: CallLog
    wave: Wave = field(default_factory=Wave)
    meetings: Meetings = field(default_factory=Meetings)
    queues: Queues = field(default_factory=Queues)
    pins: PinGuard = field(default_factory=PinGuard)
