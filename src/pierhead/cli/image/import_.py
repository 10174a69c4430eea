"""``pier import``: make an image from a tar archive of a file system."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.progress import show
from pierhead.cli.image.source import blocks, open_archive
from pierhead.cli.main import getenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def import_archive(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/create?fromSrc=...; the daemon fetches URLs itself."""
    source = args[0]
    body: Iterable[bytes] | None = None
    if source == "-":
        body = blocks(0)
    elif not source.startswith(("https://", "http://")):
        body = blocks(open_archive(source))
        source = "-"
    query = {
        "fromSrc": source,
        "repo": args[1] if len(args) > 1 else None,
        "message": options.string("message") or None,
        "changes": options.strings("change") or None,
        "platform": (options.string("platform") or getenv("DOCKER_DEFAULT_PLATFORM")).lower()
        or None,
    }
    response = cli.client.request("POST", "/images/create", query, body)
    show(cli, response.objects())


IMPORT = Command(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    import_archive,
    (
        ("change", "c", "list", None, "Apply a Dockerfile instruction to the image"),
        ("message", "m", "string", "", "Message for the image's history"),
        ("platform", "", "string", "", "Platform of the image, os[/arch[/variant]]"),
    ),
    args=(1, None),
)
