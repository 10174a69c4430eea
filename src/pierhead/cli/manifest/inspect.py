"""``pier manifest inspect``: a manifest or a list of them, kept here or in a registry."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.gotemplate.json_text import indent
from pierhead.cli.manifest.record import Record, list_document, named
from pierhead.cli.manifest.remote import Remote
from pierhead.cli.manifest.store import Missing, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """Look in a list (two arguments), among the lists kept here, in the registry."""
    ref = named(args[-1])
    store = Store(cli)
    found: Record | list[Record]
    if len(args) == 2:
        found = store.get(named(args[0]), ref)
    else:
        try:
            found = store.all(ref)
        except Missing:
            remote = Remote(cli, ref.domain, insecure=options.flag("insecure"))
            found = remote.manifest_or_list(ref)
    cli.out(_shown(found, verbose=options.flag("verbose")) + "\n")


def _shown(found: Record | list[Record], *, verbose: bool) -> str:
    if isinstance(found, Record):
        text = found.to_json() if verbose else found.raw.decode("utf-8", "replace")
        return indent(text, "\t")
    if verbose:
        return indent("[" + ",".join(record.to_json() for record in found) + "]", "\t")
    return list_document(found)[0]


INSPECT = Command(
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    inspect,
    (
        ("insecure", "", "bool", False, "Allow a registry without TLS, or with a bad certificate"),
        ("verbose", "v", "bool", False, "Show platform, digest and the manifest itself as well"),
    ),
    args=(1, 2),
)
