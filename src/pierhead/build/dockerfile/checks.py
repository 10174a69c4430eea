"""Build checks: BuildKit's lint rules on a parsed Dockerfile. No IO."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pierhead.build.dockerfile.ignore import Rules
from pierhead.build.dockerfile.model import Dockerfile, Range, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Fields as ``build.model.Warned`` wants them."""

    rule: str
    text: str
    description: str
    url: str
    location: Range | None
    level: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """``# check=skip=A,B;error=true;experimental=all`` or ``BUILDKIT_DOCKERFILE_CHECK``."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> CheckConfig:
        """``ValueError`` with BuildKit's words."""
        raise NotImplementedError


def run(
    dockerfile: Dockerfile,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str = "",
    platform_args: Mapping[str, str] | None = None,
    base_env: Callable[[Stage], Mapping[str, str] | None] | None = None,
    ignore: Rules | None = None,
) -> list[Finding]:
    """All findings, in the order of lines.

    ``platform_args`` are BUILDPLATFORM, TARGETOS and so on; ``base_env`` tells the environment
    of a stage's base image where it is known (``None``: unknown, its PATH is assumed only).
    """
    raise NotImplementedError


def failure(dockerfile: Dockerfile, findings: list[Finding], *, option: str = "") -> str | None:
    """The error's text if ``error=true`` and there are findings, else ``None``."""
    raise NotImplementedError
