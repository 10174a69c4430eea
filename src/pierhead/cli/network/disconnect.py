"""``pier network disconnect``."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def disconnect(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /networks/{id}/disconnect."""
    body = {"Container": args[1], "Force": options.flag("force")}
    cli.client.request("POST", f"/networks/{quote(args[0])}/disconnect", None, body)


DISCONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    disconnect,
    (("force", "f", "bool", False, "Take it off even if the container does not agree"),),
    args=(2, 2),
)
