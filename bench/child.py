"""One case in a process of its own: `python -m bench.child MODULE FILE` writes its figures as JSON to FILE."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(module: str, result: str) -> None:
    figures = importlib.import_module(f"bench.{module}").run()
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:3])
