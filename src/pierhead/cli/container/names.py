"""Container names in paths, and the same request for many containers at once."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.client.errors import ClientError
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pierhead.cli.main import Cli
    from pierhead.client.http import Pending

#: As many requests are under way at the same time, each on its own connection.
AT_ONCE = 50


def container_path(name: str, rest: str = "") -> str:
    """``/containers/<name>/<rest>``. Raises ``CliError`` for an empty name."""
    name = name.strip()
    if not name:
        raise CliError("invalid container name or ID: value is empty")
    return f"/containers/{quote(name)}{'/' + rest if rest else ''}"


def for_each(
    cli: Cli,
    names: Sequence[str],
    method: str,
    path: Callable[[str], str],
    query: dict[str, Any] | None = None,
    *,
    report: Callable[[str, Any], None] | None = None,
    forgive: Callable[[ClientError], bool] | None = None,
) -> None:
    """Send the request for every container at once; print the names as they succeed.

    Errors come at the end, together, as one ``CliError``. An error that ``forgive``
    accepts goes to stderr and does not count. ``report`` replaces printing the name.
    """
    errors: list[str] = []
    if len(names) > 1:
        cli.client.negotiate()
    for start in range(0, len(names), AT_ONCE):
        batch: list[tuple[str, Pending | Exception]] = []
        for name in names[start : start + AT_ONCE]:
            try:
                # A single request goes the ordinary way: it may have to settle the version.
                if len(names) == 1:
                    _finish(cli, name, cli.client.request(method, path(name), query), report)
                else:
                    batch.append((name, cli.client.begin(method, path(name), query)))
            except (ClientError, CliError) as error:
                batch.append((name, error))
        for name, item in batch:
            try:
                if isinstance(item, Exception):
                    raise item
                _finish(cli, name, item.response(), report)
            except (ClientError, CliError) as error:
                if forgive is not None and isinstance(error, ClientError) and forgive(error):
                    cli.err(f"{error}\n")
                else:
                    errors.append(str(error))
    if errors:
        raise CliError("\n".join(errors))


def _finish(cli: Cli, name: str, response: Any, report: Callable[[str, Any], None] | None) -> None:
    if report is not None:
        report(name, response)
        return
    response.read()
    cli.out(name + "\n")
