"""Run a command line client as a user would, and keep what it said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from support.terminal import Terminal


@dataclass(frozen=True)
class Result:
    """A finished command; ``stdout`` and ``stderr`` are text with the bytes' own line ends."""

    argv: tuple[str, ...]
    returncode: int
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode(errors="surrogateescape")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode(errors="surrogateescape")

    @property
    def out(self) -> str:
        """Standard output without the white space around it."""
        return self.stdout.strip()

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def says(self, *phrases: str) -> None:
        """Standard error has each phrase; case is left alone, it changed between Dockers."""
        for phrase in phrases:
            assert phrase.lower() in self.stderr.lower(), f"does not say {phrase!r}\n{self}"

    def __str__(self) -> str:
        return (
            f"$ {' '.join(self.argv)}\nexit status {self.returncode}\n"
            f"--- stdout\n{self.stdout[-4000:]}\n--- stderr\n{self.stderr[-4000:]}"
        )


class Command:
    """A client with its host set: ``cli("run", "--rm", "busybox", "true")``."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self.name = name
        self.argv = tuple(argv)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER")}
        self.env = clean | dict(env)

    def __repr__(self) -> str:
        return self.name

    def __call__(
        self,
        *args: str,
        input: bytes | str | None = None,
        check: bool = True,
        timeout_s: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run to the end. ``check`` fails the test unless the exit status is 0."""
        argv = (*self.argv, *args)
        stdin = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout_s,
            env={**self.env, **(env or {})},
        )
        result = Result((self.name, *args), done.returncode, done.stdout, done.stderr)
        if check:
            assert result.returncode == 0, str(result)
        return result

    def fails(self, *args: str, code: int | None = None, **more: object) -> Result:
        """Run what has to fail; ``code`` is the exit status asked for."""
        result = self(*args, check=False, **more)  # type: ignore[arg-type]
        assert result.returncode != 0, f"expected a failure\n{result}"
        assert code is None or result.returncode == code, f"expected exit status {code}\n{result}"
        return result

    def popen(self, *args: str, **more: object) -> subprocess.Popen[bytes]:
        """Start without waiting; pipes on all three streams unless told otherwise."""
        options: dict[str, object] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.env,
        }
        return subprocess.Popen((*self.argv, *args), **(options | more))  # type: ignore[call-overload,no-any-return]

    def terminal(self, *args: str, rows: int = 24, cols: int = 80) -> Terminal:
        """Start on a new pseudo terminal."""
        return Terminal(
            (*self.argv, *args), env={"TERM": "xterm", **self.env}, rows=rows, cols=cols
        )
