"""The verbs that show something about one container: ``port`` and ``top``."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def _address(binding: dict[str, str]) -> str:
    host = binding.get("HostIp") or "0.0.0.0"
    if ":" in host:
        host = f"[{host}]"
    return f"{host}:{binding.get('HostPort', '')}"


def _order(port: str) -> tuple[str, int]:
    number, _, protocol = port.partition("/")
    return protocol, int(number) if number.isdigit() else 0


def port(cli: Cli, options: Options, args: list[str]) -> None:
    """The published ports, from GET /containers/{id}/json."""
    found = cli.client.get(container_path(args[0], "json"))
    ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
    if len(args) > 1:
        number, slash, protocol = args[1].partition("/")
        if not (number.isascii() and number.isdigit()):
            raise CliError(
                f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": '
                "invalid syntax"
            )
        bindings = ports.get(f"{number}/{protocol if slash else 'tcp'}")
        if not bindings:
            raise CliError(f"Error: No public port '{args[1]}' published for {args[0]}")
        lines = [_address(binding) for binding in bindings]
    else:
        lines = [
            f"{name} -> {_address(binding)}"
            for name in sorted(ports, key=_order)
            for binding in ports[name] or ()
        ]
    if lines:
        cli.out("\n".join(lines) + "\n")


def top(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/{id}/top."""
    from pierhead.cli.format.tabwriter import tabwriter

    answer = cli.client.get(container_path(args[0], "top"), {"ps_args": " ".join(args[1:]) or None})
    rows = [answer.get("Titles") or [], *(answer.get("Processes") or ())]
    text = "".join("\t".join(str(cell) for cell in row) + "\n" for row in rows)
    cli.out(tabwriter(text, 20, 1))


PORT = Command("CONTAINER [PRIVATE_PORT[/PROTO]]", port, args=(1, 2))
TOP = Command("CONTAINER [ps OPTIONS]", top, args=(1, None), interspersed=False)
