"""An ssh agent of our own for ``--ssh id=KEYFILE``: OpenSSH's, for as long as the build takes."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class KeyAgent:
    """Runs ``ssh-agent`` with these keys; ``socket`` is where it listens."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ``CliError`` where OpenSSH is missing or a key can't be read."""
        import os
        import subprocess
        import tempfile

        self._directory = tempfile.mkdtemp(prefix="pier-ssh-")
        self.socket = self._directory + "/agent"
        try:
            self._process = subprocess.Popen(
                ["ssh-agent", "-D", "-a", self.socket],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            os.rmdir(self._directory)
            raise CliError(
                f"ERROR: failed to build: --ssh with key files needs OpenSSH's ssh-agent: {error}"
            ) from None
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it says where it listens once it does
        for key in keys:
            done = subprocess.run(
                ["ssh-add", "-q", key],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={**os.environ, "SSH_AUTH_SOCK": self.socket, "SSH_ASKPASS_REQUIRE": "never"},
            )
            if done.returncode:
                self.close()
                reason = done.stderr.decode("utf-8", "replace").strip()
                raise CliError(f"ERROR: failed to build: failed to parse {key}: {reason}")

    def close(self) -> None:
        """End the agent."""
        import shutil

        self._process.terminate()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
