"""Every fuzz target for TANDEM_FUZZ seconds (60) under atheris; ends with 1 and the octets when something was found."""

from __future__ import annotations

import base64
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS

MOST_OCTETS = 4096


def fuzz(name: str, seconds: float, folder: Path) -> list[bytes]:
    """What was found in so many seconds, with the corpus in a folder."""
    limits = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={MOST_OCTETS}",
        "-timeout=10",
        "-rss_limit_mb=2048",
    ]
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(folder), *limits, "-print_final_stats=1"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-8000:], sep="\n")
    runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    print(f"{name:14} {'found something' if done.returncode else 'nothing found'}  {' '.join(runs)}", flush=True)
    found = [path.read_bytes() for path in sorted(folder.glob("found-*"))]
    return found or ([b""] if done.returncode else [])


def main() -> int:
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (it has wheels for Linux on x86_64 only); guided fuzzing is left out")
        return 0
    seconds, worst = float(os.environ.get("TANDEM_FUZZ", "60")), 0
    with tempfile.TemporaryDirectory(prefix="tandem-fuzz-") as folder:
        for name in sys.argv[1:] or TARGETS:
            for octets in fuzz(name, seconds, Path(folder) / name):
                worst = 1
                print(f"  for tests/fuzz/corpus/{name}.txt: {base64.b64encode(octets).decode()}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
