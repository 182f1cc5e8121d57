"""One fuzz target under atheris, which follows what the code does with its input. `python -m tests.fuzz` runs all.

python -m tests.fuzz.guided NAME FOLDER [options of libFuzzer]
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(name: str, folder: Path, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["pbx"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], f"-artifact_prefix={folder}/found-", *options, str(folder)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
