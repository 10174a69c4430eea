"""Pulling an image for ``run`` and ``create``: the request and its progress on stderr."""

from __future__ import annotations

from pierhead.cli.format.progress import show
from pierhead.cli.format.references import Reference, parse
from pierhead.cli.registry.credentials import header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.main import Cli

_HEX = frozenset("0123456789abcdef")


def named(image: str) -> Reference | None:
    """The reference to pull, ``latest`` where it has neither tag nor digest.

    None for an image id, which no registry knows. Raises ``ValueError`` with docker's text.
    """
    identifier = image.removeprefix("sha256:")
    if len(identifier) == 64 and _HEX.issuperset(identifier):
        return None
    reference = parse(image)
    if not reference.tag and not reference.digest:
        reference.tag = "latest"
    return reference


def pull_image(cli: Cli, reference: Reference, *, platform: str, quiet: bool) -> None:
    """POST /images/create. Raises ``CliError`` for an error within the progress."""
    query: dict[str, Any] = {
        "fromImage": f"{reference.domain}/{reference.path}",
        "tag": reference.digest or reference.tag,
    }
    if platform:
        query["platform"] = platform.lower()
    headers = {"X-Registry-Auth": header(cli, reference.domain)}
    response = cli.client.request("POST", "/images/create", query, headers=headers)
    show(cli, response.objects(), quiet=quiet, to_stderr=True)
