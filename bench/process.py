"""What a process has used so far, as the kernel counts it. Linux only: `/proc` (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of the main process and of its media worker, and what both hold in memory, in KiB."""

    main: float
    worker: float
    main_memory: float
    worker_memory: float

    def __sub__(self, before: Usage) -> Usage:
        return Usage(
            self.main - before.main,
            self.worker - before.worker,
            self.main_memory - before.main_memory,
            self.worker_memory - before.worker_memory,
        )


def cpu(process: int) -> float:
    """Seconds of user and system time."""
    fields = _stat(process)
    return (int(fields[11]) + int(fields[12])) / _TICK


def waited(process: int) -> float:
    """Seconds in which its main thread could have run, but others had the processors (sched-stats.rst)."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


def resident(process: int) -> float:
    """KiB in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE / 1024


def children(process: int) -> Iterator[tuple[int, str]]:
    """(pid, command line) of each child."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if int(_stat(int(entry.name))[1]) == process:
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile


def _stat(process: int) -> list[str]:
    """The fields of `stat` after the command's name, which may hold anything."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
