"""``pier image verify``: read images again, find what is damaged, put whole things in its place."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def verify(cli: Cli, options: Options, args: list[str]) -> int:
    """POST /pierhead/images/verify. Exit code 1 while something is damaged."""
    query: dict[str, Any] = {"name": args or None, "repair": options.flag("repair") or None}
    as_json = options.string("format") == "json"
    response = cli.client.request("POST", "/pierhead/images/verify", query)
    damaged = 0
    for message in response.objects():
        if error := message.get("errorDetail"):
            raise CliError(str(error.get("message", "")))
        if "Checked" in message:
            damaged = message["Damaged"]
        if as_json:
            from json import dumps

            cli.out(dumps(message, separators=(",", ":")) + "\n")
        elif text := _text(message, quiet=options.flag("quiet")):
            cli.out(text + "\n")
    return 1 if damaged else 0


def _text(message: dict[str, Any], *, quiet: bool) -> str:
    if "Checked" in message:
        if quiet:
            return ""
        repaired = f", {message['Repaired']} repaired" if message["Repaired"] else ""
        return f"{message['Checked']} checked, {message['Damaged']} damaged{repaired}"
    status = message["Status"]
    if status == "whole" and quiet:
        return ""
    text = f"{status:<9} {message['Kind']:<9} {message['Digest']}"
    if status == "repaired":
        source = message.get("Source")
        return text + (f"  from {source}" if source else "  from its blob")
    for key in ("Fault", "Complaint"):
        if message.get(key):
            text += f"  {message[key]}"
    return text


def _format(text: str) -> str:
    if text not in ("", "text", "json"):
        raise ValueError("must be text or json")
    return text


VERIFY = Command(
    "[OPTIONS] [IMAGE...]",
    verify,
    (
        ("format", "", "string", "text", "text or json, an object a line", _format),
        ("quiet", "q", "bool", False, "Only tell what is damaged or was repaired"),
        ("repair", "", "bool", False, "Pull again what is damaged, from where it came"),
    ),
    long=(
        "Read images (all, if none is named) again and compare them with their digests.\n"
        "The exit code is 1 while something is damaged."
    ),
)
