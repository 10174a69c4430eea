"""``pier manifest create``: begin a list, or add to it."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.manifest.record import named
from pierhead.cli.manifest.remote import Remote
from pierhead.cli.manifest.store import Missing, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def create(cli: Cli, options: Options, args: list[str]) -> None:
    """Look the images up, here and then in the registry, and keep them."""
    try:
        target = named(args[0])
    except CliError as error:
        raise CliError(
            f"error parsing name for manifest list {args[0]}: {error.message}"
        ) from error
    store = Store(cli)
    try:
        store.all(target)
    except Missing:
        pass
    else:
        if not options.flag("amend"):
            raise CliError("refusing to amend an existing manifest list with no --amend flag")
    for text in args[1:]:
        image = named(text)
        try:
            record = store.get(target, image)
        except Missing:
            record = Remote(cli, image.domain, insecure=options.flag("insecure")).manifest(image)
        store.save(target, image, record)
    cli.out(f"Created manifest list {target}\n")


CREATE = Command(
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    create,
    (
        ("amend", "a", "bool", False, "Add to a list that is there already"),
        ("insecure", "", "bool", False, "Allow a registry without TLS, or with a bad certificate"),
    ),
    args=(2, None),
    long="Make a list of images for several platforms, to annotate and push it.",
)
