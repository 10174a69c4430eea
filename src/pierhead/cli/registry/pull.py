"""``pier pull``: have the daemon fetch an image."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.progress import show
from pierhead.cli.format.references import Reference, parse
from pierhead.cli.main import getenv
from pierhead.cli.registry.ask import with_credentials
from pierhead.cli.requires import refuse_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def wanted(cli: Cli, text: str, *, everything: bool, quiet: bool) -> Reference:
    """The reference to pull or push, its default tag filled in. Raises ``CliError``."""
    try:
        reference = parse(text)
    except ValueError as error:
        raise CliError(str(error)) from error
    bare = not reference.tag and not reference.digest
    if everything and not bare:
        raise CliError("tag can't be used with --all-tags/-a")
    if bare and not everything:
        reference.tag = "latest"
        if not quiet:
            cli.out("Using default tag: latest\n")
    return reference


def pull(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/create?fromImage=..."""
    everything, quiet = options.flag("all-tags"), options.flag("quiet")
    reference = wanted(cli, args[0], everything=everything, quiet=quiet)
    platform = options.string("platform") or getenv("DOCKER_DEFAULT_PLATFORM")
    refuse_trust(options)
    query = {
        "fromImage": f"{reference.domain}/{reference.path}",
        "tag": None if everything else reference.digest or reference.tag,
        "platform": platform.lower() or None,
    }
    response = with_credentials(
        cli,
        reference.domain,
        "pull",
        lambda headers: cli.client.request("POST", "/images/create", query, headers=headers),
    )
    show(cli, response.objects(), quiet=quiet)
    cli.out(f"{reference}\n")


PULL = Command(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    pull,
    (
        ("all-tags", "a", "bool", False, "Fetch all tags of the repository"),
        ("disable-content-trust", "", "bool", True, ""),
        ("platform", "", "string", "", "Fetch this platform, os[/arch[/variant]]"),
        ("quiet", "q", "bool", False, "Print the reference only"),
    ),
    args=(1, 1),
)
