"""Packages from the distribution's signed archive, by the distribution's own tools.

apt checks the archive's signature and the package's hash; what it does not vouch for
(``--allow-unauthenticated`` and the like) is never used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pierhead.errors import Unavailable
from pierhead.linux import process

_TIMEOUT_S: Final = 300.0
_ENV: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


async def run(argv: list[str], *, cwd: Path | None = None, timeout_s: float = _TIMEOUT_S) -> bytes:
    """Run a tool, return its output. Raises ``Unavailable`` with the tool's own last words."""
    try:
        done = await process.run(argv, env=_ENV, cwd=cwd, timeout_s=timeout_s)
    except FileNotFoundError as error:
        raise Unavailable(
            f"{argv[0]} is not installed: bootstrap needs a Debian host with it"
        ) from error
    except TimeoutError as error:
        raise Unavailable(f"{argv[0]} took longer than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"{argv[0]} failed: {' '.join(lines[-3:])[:1000] or done.returncode}")
    return done.stdout


async def download(package: str, directory: Path) -> Path:
    """Fetch the .deb of ``package`` into ``directory``; refresh apt's lists if it must."""
    os.chmod(directory, 0o755)  # apt fetches as its own user where it can
    argv = [
        "apt-get", "--quiet", "--option=APT::Get::AllowUnauthenticated=false", "download", package,
    ]  # fmt: skip
    try:
        await run(argv, cwd=directory)
    except Unavailable:
        await run(["apt-get", "--quiet", "update"])
        await run(argv, cwd=directory)
    found = [name for name in os.listdir(directory) if name.endswith(".deb")]
    if len(found) != 1:
        raise Unavailable(f"apt-get download {package} left {len(found)} files, one was expected")
    return directory / found[0]


async def deb_field(deb: Path, field: str) -> str:
    """One field of a package file's control data."""
    return (await run(["dpkg-deb", "--field", str(deb), field])).decode().strip()


async def unpack_deb(deb: Path, target: Path) -> None:
    """Unpack a package's files, keeping their times."""
    await run(["dpkg-deb", "--extract", str(deb), str(target)])
