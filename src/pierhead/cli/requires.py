"""Flags that an older daemon doesn't know: refused before anything is sent, as docker does."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def need_api(cli: Cli, flag: str, version: str) -> None:
    """Raise ``CliError`` if the daemon's API is older than what ``flag`` needs.

    A daemon that can't be asked will say so itself when the command gets to it.
    """
    if not cli.client.version_at_least(version):
        raise CliError(
            f'"--{flag}" requires API version {version}, but the Docker daemon API version is '
            f"{cli.client.version}"
        )


def refuse_trust(options: Options) -> None:
    """Content trust was asked for (``--disable-content-trust=false``, DOCKER_CONTENT_TRUST).

    Going on without it would be worse than not going on. Raises ``CliError``.
    """
    from pierhead.cli.main import getenv

    if options.changed("disable-content-trust"):
        if options.flag("disable-content-trust"):
            return
    elif getenv("DOCKER_CONTENT_TRUST") not in ("1", "t", "T", "true", "TRUE", "True"):
        return
    raise CliError(
        "content trust is not implemented yet in Pierhead: unset DOCKER_CONTENT_TRUST, or give "
        "--disable-content-trust, to go on without verified signatures"
    )
