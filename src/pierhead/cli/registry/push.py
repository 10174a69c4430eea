"""``pier push``: have the daemon upload an image."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.progress import show
from pierhead.cli.image.platform import platform_json
from pierhead.cli.registry.credentials import header
from pierhead.cli.registry.pull import wanted
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def push(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/{name}/push."""
    everything, quiet = options.flag("all-tags"), options.flag("quiet")
    platform = options.string("platform")
    reference = wanted(cli, args[0], everything=everything, quiet=quiet)
    if reference.digest:
        raise CliError("cannot push a digest reference")
    query = {
        "tag": None if everything else reference.tag,
        "platform": platform_json(platform) if platform else None,
    }
    response = cli.client.request(
        "POST",
        f"/images/{quote(f'{reference.domain}/{reference.path}', '/')}/push",
        query,
        headers={"X-Registry-Auth": header(cli, reference.domain)},
    )
    show(cli, response.objects(), quiet=quiet)
    if quiet:
        cli.out(f"{reference}\n")


PUSH = Command(
    "[OPTIONS] NAME[:TAG]",
    push,
    (
        ("all-tags", "a", "bool", False, "Upload all tags of the repository"),
        ("disable-content-trust", "", "bool", True, ""),
        ("platform", "", "string", "", "Upload this platform only, os[/arch[/variant]]"),
        ("quiet", "q", "bool", False, "Print the reference only"),
    ),
    args=(1, 1),
)
