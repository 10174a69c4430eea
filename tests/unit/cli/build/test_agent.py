from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pierhead.cli.build.agent import KeyAgent
from pierhead.cli.errors import CliError

needs_openssh = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="no OpenSSH here")


@needs_openssh
def test_an_agent_with_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    agent = KeyAgent([str(key)])
    try:
        done = subprocess.run(
            ["ssh-add", "-l"],
            capture_output=True,
            text=True,
            env={**os.environ, "SSH_AUTH_SOCK": agent.socket},
        )
        assert "ED25519" in done.stdout
    finally:
        agent.close()
    assert not os.path.exists(agent.socket)


@needs_openssh
def test_a_file_that_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no")
    with pytest.raises(CliError, match="failed to parse"):
        KeyAgent([str(tmp_path / "key")])


def test_without_openssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/proc/nothing")
    with pytest.raises(CliError, match="needs OpenSSH"):
        KeyAgent(["x"])
