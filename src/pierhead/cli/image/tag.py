"""``pier tag``: give an image another name."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.references import parse
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def tag(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/{name}/tag."""
    source, target = args
    for text in (source, target):
        try:
            reference = parse(text)
        except ValueError as error:
            if text is source and len(text) == 64:
                continue  # an id
            raise CliError(
                f'Error parsing reference: "{text}" is not a valid repository/tag: {error}'
            ) from error
    if reference.digest:
        raise CliError("refusing to create a tag with a digest reference")
    cli.client.request(
        "POST",
        f"/images/{quote(source)}/tag",
        {"repo": reference.familiar_name, "tag": reference.tag or "latest"},
    )


TAG = Command("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", tag, args=(2, 2), interspersed=False)
