"""What the client says about itself in ``version`` and ``info``."""

from __future__ import annotations

import posix
import sys

import pierhead
from pierhead.client.http import API_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.main import Cli

PLATFORM = "Pierhead"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def _build_time() -> str:
    """When this installation was written: the nearest thing to a build that Python has."""
    import time

    try:
        written = posix.stat(pierhead.__file__).st_mtime
    except OSError:
        return ""
    return time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(written))


def client_version(cli: Cli, *, negotiated: bool) -> dict[str, str]:
    """The ``Client`` block by Go names; ``GoVersion`` names the Python that runs us.

    ``negotiated`` includes the API version in use, which needs the daemon's answer.
    """
    machine = posix.uname().machine
    python = ".".join([str(part) for part in sys.version_info[:3]])
    return {
        "Version": pierhead.__version__,
        "APIVersion": cli.client.version if negotiated else "",
        "DefaultAPIVersion": API_VERSION,
        "GitCommit": "unknown",
        "GoVersion": f"python{python}",
        "Os": "linux",
        "Arch": _ARCHITECTURES.get(machine, machine),
        "BuildTime": _build_time(),
        "Context": "default",
    }
