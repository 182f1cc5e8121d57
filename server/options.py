"""What `tandem serve` was asked for, and where the data is (decision 17). Not the configuration file itself."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path

from base.config import Config
from base.failures import Failure

SOCKET_NAME = "control.sock"


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """`data` is an absolute folder; `domain` None means the host's full name or the default at the first start."""

    data: Path
    domain: str | None = None
    config: Config = field(default_factory=Config)

    @property
    def control_socket(self) -> Path:
        """Where the `tandem` command reaches this server."""
        return self.data / SOCKET_NAME

    @property
    def key_file(self) -> Path:
        """The key of the sealed secrets: outside the database."""
        return self.data / "secret.key"


def data_folder(given: Path | None) -> Path:
    """`--data`, else TANDEM_DATA (the command line puts it in `given` too), else /var/lib/tandem as root, else the
    user's own data folder (XDG Base Directory)."""
    if given is not None:
        return given.expanduser().absolute()
    if os.environ.get("TANDEM_DATA"):
        return Path(os.environ["TANDEM_DATA"]).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/tandem")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home).absolute() / "tandem"


class Claim:
    """The right to serve a data folder: an advisory lock that ends with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and lock it. Raises Failure("busy" | "unavailable")."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Failure("unavailable", f"cannot use the data folder {folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise Failure("busy", f"another server is using the data folder {folder}") from error

    def release(self) -> None:
        os.close(self._descriptor)
