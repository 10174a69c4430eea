"""Plugins of the stock docker command line: ``docker-buildx`` and ``docker-compose``.

Looked for where Docker looks for them, beside the tests' own Python (``./test`` puts them there)
and in ``PIERHEAD_CLI_PLUGINS`` (directories, separated by colons).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

_PLACES = (
    "~/.docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def find(name: str) -> Path | None:
    """The program ``docker-NAME``, or ``None``."""
    given = os.environ.get("PIERHEAD_CLI_PLUGINS", "").split(":")
    places = [*filter(None, given), str(Path(sys.executable).parent), *_PLACES]
    for place in places:
        path = Path(place).expanduser() / f"docker-{name}"
        if os.access(path, os.X_OK):
            return path
    on_path = shutil.which(f"docker-{name}")
    return Path(on_path) if on_path else None


def need(*names: str, config: Path) -> dict[str, str]:
    """The environment in which ``docker NAME`` works, made in ``config``; skips without one."""
    folder = config / "cli-plugins"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = find(name)
        if path is None:
            pytest.skip(
                f"no docker-{name} on this machine: PIERHEAD_CLI_PLUGINS may name its place"
            )
        link = folder / f"docker-{name}"
        if not link.exists():
            link.symlink_to(path)
    return {"DOCKER_CONFIG": str(config)}
