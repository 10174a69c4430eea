"""``pier commit``: an image from what a container changed."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def commit(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /commit."""
    query: dict[str, Any] = {
        "container": args[0],
        "comment": options.string("message") or None,
        "author": options.string("author") or None,
        "changes": options.strings("change"),
    }
    if options.flag("no-pause") or not options.flag("pause"):
        query["pause"] = False
    if len(args) > 1 and args[1]:
        from pierhead.cli.format.references import parse

        try:
            reference = parse(args[1])
        except ValueError as error:
            raise CliError(str(error)) from None
        query["repo"] = reference.familiar_name
        query["tag"] = reference.tag or "latest"
    try:
        answer = cli.client.post("/commit", query, {})
    except ApiError as error:
        raise CliError(str(error)) from None
    cli.out(f"{answer['Id']}\n")


COMMIT = Command(
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    commit,
    (
        ("author", "a", "string", "", 'Author ("A. Person <person@example.org>")'),
        ("change", "c", "list", None, "Apply a Dockerfile instruction to the image"),
        ("message", "m", "string", "", "Message about the change"),
        ("no-pause", "", "bool", False, "Don't pause the container meanwhile"),
        ("pause", "p", "bool", True, ""),
    ),
    args=(1, 2),
)
