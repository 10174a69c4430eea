"""``pier image bootstrap``: base images from Debian's signed packages, without a registry."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.progress import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def bootstrap(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /pierhead/images/bootstrap; with --quiet only the image's id is printed."""
    query = {
        "spec": args[0],
        "variant": options.string("variant") or None,
        "packages": ",".join(options.strings("package")) or None,
        "mirror": options.string("mirror") or None,
        "tag": options.string("tag") or None,
    }
    quiet = options.flag("quiet")
    identifier = ""

    def remember(aux: dict[str, Any]) -> None:
        nonlocal identifier
        identifier = str(aux.get("ID") or identifier)

    response = cli.client.request("POST", "/pierhead/images/bootstrap", query)
    show(cli, response.objects(), quiet=quiet, on_aux=remember)
    if quiet and identifier:
        cli.out(identifier + "\n")


BOOTSTRAP = Command(
    "[OPTIONS] busybox|debian:SUITE",
    bootstrap,
    (
        ("mirror", "", "string", "", "Take packages from this Debian mirror"),
        ("package", "p", "stringSlice", None, "Install these packages too (debian)"),
        ("quiet", "q", "bool", False, "Print the image's id only"),
        ("tag", "t", "string", "", "Name the image NAME[:TAG]"),
        ("variant", "", "string", "", "mmdebstrap variant, such as minbase or apt (debian)"),
    ),
    args=(1, 1),
    long=(
        "Make a base image on the spot from the distribution's own signed packages:\n"
        "'busybox' from busybox-static, 'debian:SUITE' with mmdebstrap."
    ),
)
