"""``pier events``: what happens in the daemon, live."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.clock import api_timestamp, rfc3339_local
from pierhead.cli.format.filters import check_filter, parse_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.gotemplate import Template
    from pierhead.cli.main import Cli


def event_line(event: dict[str, Any]) -> str:
    """One event as a line: time, type, action, id, and the attributes in brackets."""
    text = ""
    if event.get("timeNano"):
        seconds, nanoseconds = divmod(int(event["timeNano"]), 1_000_000_000)
        text = rfc3339_local(seconds, nanoseconds) + " "
    elif event.get("time"):
        text = rfc3339_local(int(event["time"]), 0) + " "
    actor = event.get("Actor") or {}
    text += f"{event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}"
    attributes = actor.get("Attributes") or {}
    if attributes:
        text += f" ({', '.join([f'{key}={attributes[key]}' for key in sorted(attributes)])})"
    return text + "\n"


def _template(source: str) -> Template | None:
    if not source:
        return None
    from pierhead.cli.format.go_types import typed
    from pierhead.cli.gotemplate import TemplateError, parse

    try:
        template = parse("{{json .}}" if source == "json" else source)
        empty = typed({}, "event")
        empty.pointer = True
        template.execute(empty)  # a wrong field is an error now, not at the first event
    except TemplateError as error:
        raise CliError(f"Error parsing format: {error}", 64) from error
    return template


def _time(options: Options, flag: str) -> str | None:
    text = options.string(flag)
    try:
        return api_timestamp(text) if text else None
    except ValueError as error:
        raise CliError(str(error)) from error


def events(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /events, until it ends."""
    template = _template(options.string("format"))
    query = {
        "since": _time(options, "since"),
        "until": _time(options, "until"),
        "filters": parse_filters(options.strings("filter")),
    }
    for event in cli.client.request("GET", "/events", query).objects():
        if template is None:
            cli.out(event_line(event))
            continue
        from pierhead.cli.format.go_types import typed
        from pierhead.cli.gotemplate import TemplateError

        try:
            cli.out(template.execute(typed(event, "event")) + "\n")
        except TemplateError as error:
            raise CliError(str(error)) from error


EVENTS = Command(
    "[OPTIONS]",
    events,
    (
        ("filter", "f", "filter", None, "Show only what fits name=value", check_filter),
        ("format", "", "string", "", "Print with 'json' or a Go template"),
        ("since", "", "string", "", "Begin with the events since this time, or so long ago"),
        ("until", "", "string", "", "End at this time"),
    ),
    args=(0, 0),
)
