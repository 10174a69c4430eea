"""``pier volume rm``."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def remove(cli: Cli, options: Options, args: list[str]) -> None:
    """DELETE /volumes/{name} for each."""
    errors: list[str] = []
    query = {"force": True if options.flag("force") else None}
    for name in args:
        try:
            cli.client.delete(f"/volumes/{quote(name)}", query).read()
        except ApiError as error:
            errors.append(str(error))
            continue
        cli.out(f"{name}\n")
    if errors:
        raise CliError("\n".join(errors))


RM = Command(
    "[OPTIONS] VOLUME [VOLUME...]",
    remove,
    (("force", "f", "bool", False, "No error for a volume that does not exist"),),
    args=(1, None),
    long="Remove volumes. A volume that a container uses can't be removed.",
)
