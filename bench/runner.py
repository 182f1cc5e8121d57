"""Runs cases one after another, each in a child process: one that takes too long is ended, with all its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.cases import Case
from bench.figures import QUICK, Figure
from bench.sipp import installed

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Result:
    """`trouble` is empty when the case ran to its end."""

    case: Case
    figures: list[Figure]
    seconds: float
    trouble: str = ""


def measure(case: Case, *, quick: bool, left: float = 3600.0) -> Result:
    """Never raises for what goes wrong in a case. `left`: seconds that it may take at most."""
    if case.needs_sipp and not installed():
        return Result(case, [], 0.0, "SIPp is not installed (Debian: sip-tester)")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        answer = Path(folder) / "figures.json"
        trouble = _child(case, answer, min(case.limit, left), quick=quick)
        rows = json.loads(answer.read_text()) if answer.exists() else []
    figures = [(str(name), float(value), str(unit)) for name, value, unit in rows]
    return Result(case, figures, time.monotonic() - began, "" if figures else trouble)


def _child(case: Case, answer: Path, limit: float, *, quick: bool) -> str:
    """Run it; returns its last words."""
    environment = {**os.environ, QUICK: "1" if quick else ""}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.child", case.module, str(answer)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=_ROOT,
            env=environment,
            start_new_session=True,
        )
        try:
            process.wait(limit)
            trouble = ""
        except subprocess.TimeoutExpired:
            trouble = f"not done within {limit:.0f} s"
        finally:
            _end(process)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return trouble or (lines[-1] if lines else f"ended with status {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and all that it started: they share a session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
