"""``pier manifest push``: put a list that was made here into its registry."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.references import parse
from pierhead.cli.manifest.record import list_document, named
from pierhead.cli.manifest.remote import Remote
from pierhead.cli.manifest.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.format.references import Reference
    from pierhead.cli.main import Cli
    from pierhead.cli.manifest.record import Record


def _check(records: list[Record], target: Reference) -> None:
    """Raises ``CliError`` for what makes no list."""
    for record in records:
        platform = record.platform or {}
        if not platform.get("architecture") or not platform.get("os"):
            raise CliError(
                f"manifest {record.ref} must have an OS and Architecture to be pushed to a registry"
            )
        domain = parse(record.ref).domain
        if domain != target.domain:
            raise CliError(
                "cannot use source images from a different registry than the target image: "
                f"{domain} != {target.domain}"
            )


def push(cli: Cli, options: Options, args: list[str]) -> None:
    """Mount what other repositories have, put their manifests, then the list."""
    target = named(args[0])
    store = Store(cli)
    records = store.all(target)
    if not records:
        raise CliError(f"{target} not found")
    _check(records, target)
    text, media_type = list_document(records)
    parts = [(record, parse(record.ref).path) for record in records]
    remote = Remote(cli, target.domain, insecure=options.flag("insecure"))
    digest = remote.push(
        target,
        text.encode(),
        media_type,
        [(record, path) for record, path in parts if path != target.path],
        cli.out,
    )
    cli.out(f"{digest}\n")
    if options.flag("purge"):
        store.remove(target)


PUSH = Command(
    "[OPTIONS] MANIFEST_LIST",
    push,
    (
        ("insecure", "", "bool", False, "Allow a registry without TLS, or with a bad certificate"),
        ("purge", "p", "bool", False, "Remove the list here after the push"),
    ),
    args=(1, 1),
)
