"""``pier stats``: what containers use, as a table that renews itself."""

from __future__ import annotations

from pierhead.cli.container.names import container_path
from pierhead.cli.container.stats_rows import HEADERS, TABLE, row
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli
    from pierhead.client.http import Response

#: Milliseconds between two drawings of the table
_INTERVAL_MS = 500


class _Watched:
    """One container: its stream of samples and the newest of them."""

    def __init__(self, name: str, response: Response) -> None:
        self.name = name
        self.response = response
        self.samples: Iterator[Any] = response.objects()
        self.sample: dict[str, Any] | None = None

    def fileno(self) -> int:
        return self.response.fileno()

    def take(self) -> bool:
        """Read one sample that has begun to arrive; False at the end of the stream."""
        try:
            self.sample = next(self.samples)
        except (StopIteration, ClientError):
            return False
        return True


def stats(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /containers/{id}/stats."""
    names = list(args)
    if not names:
        names = _listed(cli, options)
    if options.flag("no-stream"):
        _once(cli, options, names)
    else:
        _live(cli, options, names, follow=not args)


def _listed(cli: Cli, options: Options) -> list[str]:
    found = cli.client.get("/containers/json", {"all": options.flag("all") or None}) or []
    return [str(item["Id"]) for item in found]


def _source(cli: Cli, options: Options) -> str:
    source = options.string("format")
    if not source:
        source = str(cli.config.get("statsFormat") or "")
    return source or "table"


def _table(cli: Cli, options: Options, samples: list[tuple[str, dict[str, Any] | None]]) -> str:
    from pierhead.cli.format.listing import DictRow, render

    source = _source(cli, options)
    if source == "table":
        source = TABLE
    short = not options.flag("no-trunc")
    rows = [
        DictRow(row(name, sample, short=short), "*container.statsContext")
        for name, sample in samples
    ]
    try:
        return render(source, rows, HEADERS)
    except Exception as error:
        if type(error).__name__ != "TemplateError":
            raise
        raise CliError(str(error)) from None


def _once(cli: Cli, options: Options, names: list[str]) -> None:
    """One sample of each container, asked for at the same time."""
    client = cli.client
    if names:
        client.negotiate()
    errors: list[str] = []
    samples: list[tuple[str, dict[str, Any] | None]] = []
    pending = [
        (name, client.begin("GET", container_path(name, "stats"), {"stream": False}))
        for name in names
    ]
    for name, request in pending:
        try:
            samples.append((name, request.response().json()))
        except ClientError as error:
            errors.append(str(error))
    if errors:
        raise CliError("\n".join(errors))
    cli.out(_table(cli, options, samples))


def _live(cli: Cli, options: Options, names: list[str], *, follow: bool) -> None:
    """Draw again and again until the containers are gone, or for ever if ``follow``."""
    import select
    import time

    client = cli.client
    watched: dict[str, _Watched] = {}

    def watch(name: str) -> None:
        response = client.request("GET", container_path(name, "stats"), {"stream": True})
        watched[name] = _Watched(name, response)

    events: Response | None = None
    event_stream: Iterator[Any] = iter(())
    if follow:
        filters = {"type": ["container"], "event": ["create", "start", "die", "destroy"]}
        events = client.request("GET", "/events", {"filters": filters})
        event_stream = events.objects()
    for name in names:
        try:
            watch(name)
        except ClientError:
            if not follow:
                raise
    next_draw = time.monotonic() + _INTERVAL_MS / 1000
    while watched or follow:
        poll = select.poll()
        by_fd: dict[int, _Watched] = {}
        for item in list(watched.values()):
            # What came along with earlier bytes is in a buffer, which poll can't see.
            while item.response.has_data() and item.take():
                pass
            if item.fileno() < 0:
                watched.pop(item.name, None)
            if item.fileno() >= 0:
                by_fd[item.fileno()] = item
                poll.register(item.fileno(), select.POLLIN)
        if events is not None and events.fileno() >= 0:
            poll.register(events.fileno(), select.POLLIN)
        wait_ms = max(0, int((next_draw - time.monotonic()) * 1000))
        for fd, _ in poll.poll(wait_ms):
            if events is not None and fd == events.fileno():
                try:
                    _apply(next(event_stream), watched, watch, everything=options.flag("all"))
                except (StopIteration, ClientError):
                    return
            elif fd in by_fd and not by_fd[fd].take():
                watched.pop(by_fd[fd].name, None)
        if time.monotonic() >= next_draw:
            text = _table(cli, options, [(item.name, item.sample) for item in watched.values()])
            lines = "".join(f"{line} \033[K\n" for line in text.split("\n"))
            cli.out(f"\033[H{lines}\033[J")
            next_draw = time.monotonic() + _INTERVAL_MS / 1000


def _apply(event: Any, watched: dict[str, _Watched], watch: Any, *, everything: bool) -> None:
    """Take containers in and out as they come and go."""
    action = event.get("Action") or event.get("status")
    name = str((event.get("Actor") or {}).get("ID") or event.get("id") or "")
    if action in ("start", "create") and name not in watched:
        if action == "start" or everything:
            try:
                watch(name)
            except ClientError:
                pass
    elif action == "destroy" or (action == "die" and not everything):
        item = watched.pop(name, None)
        if item is not None:
            item.response.close()


STATS = Command(
    "[OPTIONS] [CONTAINER...]",
    stats,
    (
        ("all", "a", "bool", False, "Show all containers, not only running ones"),
        ("format", "", "string", "", "'table', 'table TEMPLATE', 'json' or a Go template"),
        ("no-stream", "", "bool", False, "Show one sample and end"),
        ("no-trunc", "", "bool", False, "Don't shorten"),
    ),
)
