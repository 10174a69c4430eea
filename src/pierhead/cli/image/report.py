"""What explore, tree and diff share: fetch a report, print it as text, JSON or a template."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pierhead.cli.main import Cli

FORMAT_FLAG = ("format", "", "string", "", "Print as 'json', or with a Go template")


def show_report(
    cli: Cli,
    path: str,
    query: Mapping[str, Any],
    source: str,
    draw: Callable[[Any], str],
) -> Any:
    """GET a report and print it: ``draw`` makes the text if ``source`` is ''.

    ``json`` prints the daemon's JSON as it is, on one line; anything else is a template over
    it. Answers the report where it was decoded, else None. Raises ``CliError``.
    """
    response = cli.client.request("GET", path, query)
    if source in ("", "table"):
        report = response.json()
        cli.out(draw(report))
        return report
    raw = response.read().decode("utf-8", "replace")
    if source == "json":
        cli.out(raw if raw.endswith("\n") else raw + "\n")
        return None
    from pierhead.cli.format.inspect import make_inspector

    inspector = make_inspector(source)
    try:
        inspector.add(raw)
    except Exception as error:
        if type(error).__name__ != "TemplateError":
            raise
        raise CliError(str(error)) from error
    cli.out(inspector.flush())
    return None
