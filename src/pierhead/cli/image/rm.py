"""``pier rmi``, ``pier image rm``: remove images."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.image.platform import checked_platform
from pierhead.client.errors import ApiError
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def remove(cli: Cli, options: Options, args: list[str]) -> None:
    """DELETE /images/{name} for each; all are tried, the errors come last."""
    force = options.flag("force")
    query = {
        "force": True if force else None,
        "noprune": True if options.flag("no-prune") else None,
        "platforms": [checked_platform(cli, text, "1.50") for text in options.strings("platform")]
        or None,
    }
    errors: list[str] = []
    fatal = False
    for image in args:
        try:
            deleted = cli.client.delete(f"/images/{quote(image)}", query).json()
        except ApiError as error:
            fatal = fatal or error.status != 404
            errors.append(str(error))
            continue
        for item in deleted or ():
            if item.get("Deleted"):
                cli.out(f"Deleted: {item['Deleted']}\n")
            else:
                cli.out(f"Untagged: {item.get('Untagged', '')}\n")
    if errors:
        if not force or fatal:
            raise CliError("\n".join(errors))
        cli.err("\n".join(errors) + "\n")


RM = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    remove,
    (
        ("force", "f", "bool", False, "Remove the image even if containers or names hold it"),
        ("no-prune", "", "bool", False, "Keep untagged parents"),
        ("platform", "", "stringSlice", None, "Remove only these platforms, os[/arch[/variant]]"),
    ),
    args=(1, None),
)
