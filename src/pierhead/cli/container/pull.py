"""Pulling an image for ``run`` and ``create``: the request and its progress on stderr."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.main import Cli


def split_reference(image: str) -> tuple[str, str]:
    """(name, tag or digest) as the API takes them; ``latest`` when there is neither."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    slash = name.rfind("/")
    colon = name.find(":", slash + 1)
    if colon >= 0:
        return name[:colon], name[colon + 1 :]
    return name, "latest"


def familiar(image: str) -> str:
    """The short form of a reference: ``docker.io/library/`` goes, a tag is added."""
    name, tag = split_reference(image)
    for prefix in ("docker.io/library/", "index.docker.io/library/", "docker.io/"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
            break
    return f"{name}{'@' if ':' in tag else ':'}{tag}"


def pull_image(cli: Cli, image: str, *, platform: str, quiet: bool) -> None:
    """POST /images/create. Raises ``CliError`` for an error within the progress."""
    name, tag = split_reference(image)
    query: dict[str, Any] = {"fromImage": name, "tag": tag}
    if platform:
        query["platform"] = platform
    response = cli.client.request("POST", "/images/create", query)
    for item in response.objects():
        if not isinstance(item, dict):
            continue
        detail = item.get("errorDetail") or {}
        message = detail.get("message") or item.get("error")
        if message:
            raise CliError(str(message))
        if not quiet and item.get("status") and not item.get("progressDetail"):
            prefix = f"{item['id']}: " if item.get("id") else ""
            cli.err(f"{prefix}{item['status']}\n")
