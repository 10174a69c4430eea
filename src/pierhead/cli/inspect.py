"""``pier inspect`` for objects of any type, and ``pier container inspect``."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TYPES = (
    "config",
    "container",
    "image",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
    "task",
    "volume",
)
#: In the order in which they are looked for
_PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET the object of each name, whatever its type is."""
    from pierhead.cli.inspecting import inspect_all

    kind = options.string("type")
    if options.changed("type") and not kind:
        raise CliError('type is empty: must be one of "' + '", "'.join(_TYPES) + '"')
    if kind and kind not in _TYPES:
        raise CliError(f'unknown type: "{kind}": must be one of "' + '", "'.join(_TYPES) + '"')
    if kind and kind not in _PATHS:
        raise CliError(f"objects of the type {kind} are not implemented yet in Pierhead")
    size = options.flag("size")
    kinds = [kind] if kind else list(_PATHS)
    found_kind = ""

    def fetch(name: str) -> tuple[bytes, str]:
        if not name.strip():
            raise CliError("invalid container name or ID: value is empty")
        for candidate in kinds:
            query = {"size": size or None} if candidate == "container" else None
            path = _PATHS[candidate].format(quote(name, "/" if candidate == "image" else ""))
            try:
                raw = cli.client.request("GET", path, query).read()
            except ApiError as error:
                if len(kinds) > 1 and error.status in (400, 404):
                    continue
                raise
            if size and candidate != "container":
                cli.err(f"WARNING: --size ignored for {candidate}\n")
            return raw, candidate
        raise CliError(f"Error: No such object: {name}")

    if kind:
        inspect_all(cli, args, options.string("format"), kind, lambda name: fetch(name)[0])
        return
    from pierhead.cli.format.inspect import make_inspector

    inspector = make_inspector(options.string("format"))
    errors: list[str] = []
    for name in args:
        try:
            raw, found_kind = fetch(name)
            inspector.add(raw, found_kind)
        except (ApiError, CliError) as error:
            errors.append(str(error))
        except Exception as error:
            if type(error).__name__ != "TemplateError":
                raise
            errors.append(str(error))
    cli.out(inspector.flush())
    if errors:
        raise CliError("\n".join(errors))


def inspect_containers(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/{id}/json for each name."""
    from pierhead.cli.inspecting import inspect_all

    query = {"size": options.flag("size") or None}
    inspect_all(
        cli,
        args,
        options.string("format"),
        "container",
        lambda name: cli.client.request("GET", container_path(name, "json"), query).read(),
    )


_FORMAT = ("format", "f", "string", "", "'json' or a Go template")
_SIZE = ("size", "s", "bool", False, "Show the sizes of containers")

INSPECT = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    inspect,
    (_FORMAT, _SIZE, ("type", "", "string", "", "Look for objects of this type only")),
    args=(1, None),
)
CONTAINER_INSPECT = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]", inspect_containers, (_FORMAT, _SIZE), args=(1, None)
)
