"""``pier push``: have the daemon upload an image."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.note import note
from pierhead.cli.format.progress import show
from pierhead.cli.image.platform import platform_json
from pierhead.cli.registry.ask import with_credentials
from pierhead.cli.registry.pull import wanted
from pierhead.cli.requires import need_api, refuse_trust
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


_ONE_PLATFORM = (
    "Using --platform pushes only the specified platform manifest of a multi-platform image "
    "index.\nOther components, like attestations, will not be included.\n"
    "To push the complete multi-platform image, remove the --platform flag.\n"
)
_MISSING = (
    "You're trying to push a manifest list/index which \n"
    "\t\t\t\treferences multiple platform specific manifests, but not all of them are available "
    "locally\n\t\t\t\tor available to the remote repository.\n\n"
    "\t\t\t\tMake sure you have all the referenced content and try again.\n\n"
    "\t\t\t\tYou can also push only a single platform specific manifest directly by specifying "
    "the platform you want to push with the --platform flag."
)


def push(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/{name}/push."""
    everything, quiet = options.flag("all-tags"), options.flag("quiet")
    platform = _platform(cli, options.string("platform"))
    reference = wanted(cli, args[0], everything=everything, quiet=quiet)
    refuse_trust(options)
    if reference.digest:
        raise CliError("cannot push a digest reference")
    path = f"/images/{quote(f'{reference.domain}/{reference.path}', '/')}/push"
    query = {"tag": None if everything else reference.tag, "platform": platform}
    response = with_credentials(
        cli,
        reference.domain,
        "push",
        lambda headers: cli.client.request("POST", path, query, headers=headers),
    )
    notes: list[str] = []
    try:
        show(cli, response.objects(), quiet=quiet, on_aux=lambda aux: _remember(notes, aux))
        if quiet:
            cli.out(f"{reference}\n")
    finally:
        for text in notes:
            cli.out(note(text, terminal=posix.isatty(1)))


def _platform(cli: Cli, text: str) -> str | None:
    if not text:
        return None
    need_api(cli, "platform", "1.46")
    try:
        platform = platform_json(text)
    except CliError:
        cli.err(f"Invalid platform {text}")  # docker forgets the line's end, too
        raise
    cli.out(note(_ONE_PLATFORM, terminal=posix.isatty(1)))
    return platform


def _remember(notes: list[str], aux: Any) -> None:
    """What the daemon has to say at the end about multi-platform images."""
    if not isinstance(aux, dict):
        return
    if aux.get("manifestPushedInsteadOfIndex"):
        index = (aux.get("originalIndex") or {}).get("digest", "")
        manifest = (aux.get("selectedManifest") or {}).get("digest", "")
        notes.append(
            "Not all multiplatform-content is present and only the available single-platform "
            f"image was pushed\n\x1b[31m{index}\x1b[0m -> \x1b[32m{manifest}\x1b[0m"
        )
    if aux.get("contentMissing"):
        notes.append(_MISSING)


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
