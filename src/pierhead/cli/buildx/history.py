"""``pier build history``: builds that were, their steps and logs, and why caches missed."""

from __future__ import annotations

from pierhead.cli.buildx import records
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = "table {{.Ref}}\t{{.Name}}\t{{.Status}}\t{{.CreatedAt}}\t{{.Duration}}\t{{.Cached}}"
_HEADERS = {
    "Ref": "BUILD ID",
    "Name": "NAME",
    "Status": "STATUS",
    "CreatedAt": "CREATED AT",
    "Duration": "DURATION",
    "Cached": "CACHED",
    "Link": "",
}


def ls(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /pierhead/build/history."""
    import time

    from pierhead.cli.format.listing import print_list
    from pierhead.cli.format.units import human_duration

    now = time.time_ns()
    form = options.string("format")
    table = form in ("", "table") or form.startswith("table")
    if options.flag("local"):
        raise CliError(
            "ERROR: --local is not implemented yet in Pierhead: use --filter repository="
        )
    found = [one for one in records.fetch(cli) if records.fits(one, options.strings("filter"))]
    if form == "json":
        from pierhead.client.json_fast import dumps

        cli.out("".join(dumps(_as_json(one)) + "\n" for one in found))
        return
    rows = []
    for one in found:
        total = one.get("total_steps", 0)
        name = str(one.get("name", ""))
        rows.append(
            {
                "Ref": one["ref"],
                "Name": records.short_name(name)
                if table and not options.flag("no-trunc")
                else name,
                "Status": records.status_text(one),
                "CreatedAt": human_duration((now - one["started_ns"]) / 1e9) + " ago",
                "Duration": records.took(one, now),
                "Cached": f"{one.get('cached_steps', 0)}/{total}",
                "Link": "",
            }
        )
    print_list(cli, rows, format=form, table=_TABLE, headers=_HEADERS, quiet_field=_quiet(options))


def _quiet(options: Options) -> str | None:
    return "Ref" if options.flag("quiet") else None


def _as_json(record: dict[str, Any]) -> dict[str, Any]:
    from pierhead.cli.build.progress.rawjson import timestamp

    found = {
        "ref": f"default/default/{record['ref']}",
        "name": record.get("name", ""),
        "status": records.status_text(record),
        "created_at": timestamp(record["started_ns"]),
        "total_steps": record.get("total_steps", 0),
        "completed_steps": record.get("completed_steps", 0),
        "cached_steps": record.get("cached_steps", 0),
    }
    if record["finished_ns"]:
        found["completed_at"] = timestamp(record["finished_ns"])
    return found


def _record(cli: Cli, args: list[str]) -> dict[str, Any]:
    from pierhead.client.http import quote

    chosen = records.choose(records.fetch(cli), args[0] if args else "")
    found: dict[str, Any] = cli.client.get(f"/pierhead/build/history/{quote(chosen['ref'])}")
    return found


def inspect(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /pierhead/build/history/REF."""
    record = _record(cli, args)
    form = options.string("format")
    if form == "json":
        from pierhead.cli.gotemplate.json_text import indent
        from pierhead.client.json_fast import dumps

        cli.out(indent(dumps(record), "  ") + "\n")
        return
    if form not in ("", "pretty"):
        from pierhead.cli.format.listing import DictRow, write_list

        write_list(cli, form, [DictRow(_capital(record), "*history.inspectOutput")], {})
        return
    cli.out(pretty(record, named=not args))


def _capital(record: dict[str, Any]) -> dict[str, Any]:
    """Fields under Go's names, for templates: ``dockerfile_name`` → ``DockerfileName``."""
    return {
        "".join(part.capitalize() for part in key.split("_")): value
        for key, value in record.items()
    }


def pretty(record: dict[str, Any], *, named: bool) -> str:
    """Everything about a build, for people. ``named``: its ref is news to them."""
    import time

    from pierhead.cli.build.failure import excerpt
    from pierhead.cli.format.tabwriter import tabwriter

    now = time.time_ns()
    steps = record.get("steps") or []
    head: list[tuple[str, str]] = []
    if record.get("name"):
        head.append(("Name", str(record["name"])))
    if named:
        head.append(("Ref", str(record["ref"])))
    for key, title in (
        ("context", "Context"),
        ("dockerfile_name", "Dockerfile"),
        ("target", "Target"),
    ):
        if record.get(key):
            head.append((title, str(record[key])))
    if record.get("platforms"):
        head.append(("Platforms", ", ".join(record["platforms"])))
    for key, value in (record.get("vcs") or {}).items():
        head.append((f"VCS {key}", str(value)))
    body: list[tuple[str, str]] = []
    started = time.localtime(record["started_ns"] / 1e9)
    body.append(("Started", time.strftime("%Y-%m-%d %H:%M:%S", started)))
    running = " (running)" if not record["finished_ns"] else ""
    body.append(("Duration", records.took(record, now).rstrip("+") + running))
    if record.get("error"):
        body.append(("Error", str(record["error"]).split("\n")[0]))
    elif record.get("status") == "canceled":
        body.append(("Status", "Canceled"))
    done = sum(bool(step["finished_ns"]) for step in steps)
    cached = sum(bool(step["cached"]) for step in steps)
    share = f" ({cached / len(steps) * 100:.0f}% cached)" if steps else ""
    body.append(("Build Steps", f"{done}/{len(steps)}{share}"))
    out = [tabwriter("".join(f"{key}:\t{value}\n" for key, value in head), 0, 1), "\n"]
    out.append(tabwriter("".join(f"{key}:\t{value}\n" for key, value in body), 0, 1))
    if steps:
        out += ["\n", _steps(steps, now)]
    for title, key in (("BUILD ARG", "build_args"), ("LABEL", "labels")):
        if pairs := record.get(key):
            rows = "".join(f"{name}\t{value}\n" for name, value in sorted(pairs.items()))
            out += ["\n", tabwriter(f"{title}\tVALUE\n{rows}", 0, 3)]
    if materials := record.get("materials"):
        rows = "".join(f"{one.get('uri', '')}\t{one.get('digest', '')}\n" for one in materials)
        out += ["\n", tabwriter(f"MATERIAL\tDIGEST\n{rows}", 0, 3)]
    if images := record.get("images"):
        rows = "".join(f"{one.get('platform', '')}\t{one.get('id', '')}\n" for one in images)
        out += ["\n", tabwriter(f"PLATFORM\tIMAGE\n{rows}", 0, 3)]
    for step in steps:
        if step.get("error") and not step.get("canceled") and any(step.get("lines") or ()):
            shown = excerpt(
                str(record.get("dockerfile_name") or "Dockerfile"),
                str(record.get("dockerfile") or ""),
                [step["lines"]],
            )
            out += ["\n", shown, f"ERROR: {step['error']}\n"]
    if record.get("debug_id"):
        out.append(f"\nThe failed step is kept: pier build debug {record['debug_id']}\n")
    ref = record["ref"]
    out.append(f"\nPrint build logs: pier build history logs {ref}\n")
    return "".join(out)


def _steps(steps: list[dict[str, Any]], now: int) -> str:
    """Time and cache of every step, and why it wasn't cached."""
    from pierhead.cli.format.tabwriter import tabwriter

    rows = ["TIME\tCACHE\tSTEP\n"]
    notes: dict[int, str] = {}
    for step in steps:
        spent = records.duration_text(max((step["finished_ns"] or now) - step["started_ns"], 0))
        if step.get("canceled"):
            state = "canceled"
        elif step.get("error"):
            state = "failed"
        elif step["cached"]:
            state = "hit"
        else:
            state = "miss" if step.get("miss") else ""
        rows.append(f"{spent}\t{state}\t{step['name']}\n")
        if step.get("miss"):
            notes[len(rows) - 1] = str(step["miss"])
    lines = tabwriter("".join(rows), 0, 3).split("\n")
    indent = lines[0].index("STEP")
    out = []
    for number, line in enumerate(lines):
        out.append(line)
        if number in notes:
            out.append(f"{'':<{indent}}  not cached: {notes[number]}")
    return "\n".join(out)


def logs(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /pierhead/build/history/REF/logs, drawn as the build was."""
    from pierhead.cli.build.progress.display import Display
    from pierhead.client.http import quote

    mode = options.string("progress")
    if mode not in ("plain", "rawjson", "tty"):
        raise CliError(f"ERROR: unknown progress mode: {mode}")
    record = _record(cli, args)
    written = cli.client.get(f"/pierhead/build/history/{quote(record['ref'])}/logs") or []
    display = Display(mode, 1)
    display.update(replay(record, written))
    display.close()


def replay(record: dict[str, Any], written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of a build that is over, from what is kept of it."""
    by_step: dict[str, list[str]] = {}
    for one in written:
        by_step.setdefault(str(one["step"]), []).append(str(one["data"]))
    events: list[dict[str, Any]] = []
    for step in record.get("steps") or ():
        common = {"step": step["id"]}
        began = step["started_ns"]
        events.append(
            {
                **common,
                "type": "started",
                "time_ns": began,
                "name": step["name"],
                "inputs": step.get("inputs") or [],
            }
        )
        events += [
            {**common, "type": "log", "time_ns": began, "stream": 1, "data": data}
            for data in by_step.get(step["id"], ())
        ]
        if step["finished_ns"]:
            events.append(
                {
                    **common,
                    "type": "done",
                    "time_ns": step["finished_ns"],
                    "cached": step["cached"],
                    "error": step.get("error", ""),
                    "canceled": step.get("canceled", False),
                    "miss": step.get("miss", ""),
                }
            )
    return events


def rm(cli: Cli, options: Options, args: list[str]) -> int | None:
    """DELETE /pierhead/build/history[/REF]."""
    from pierhead.client.http import quote

    if options.flag("all"):
        if args:
            raise CliError("ERROR: rm requires either --all or refs, not both")
        cli.client.delete("/pierhead/build/history").close()
        return None
    if not args:
        raise CliError("ERROR: rm requires at least one argument")
    found = records.fetch(cli)
    code = None
    for word in args:
        try:
            record = records.choose(found, word)
        except CliError as error:
            cli.err(error.message + "\n")
            code = 1
            continue
        cli.client.delete(f"/pierhead/build/history/{quote(record['ref'])}").close()
        cli.out(record["ref"] + "\n")
    return code


def trace(cli: Cli, options: Options, args: list[str]) -> None:
    """The steps as a trace that browsers (chrome://tracing, Perfetto) show."""
    from pierhead.client.json_fast import dumps

    cli.out(dumps(trace_events(_record(cli, args))) + "\n")


def trace_events(record: dict[str, Any]) -> dict[str, Any]:
    """Chrome's trace format: one complete event a step, side by side where they ran so."""
    rows: list[int] = []
    events = []
    steps = sorted(record.get("steps") or (), key=lambda one: one["started_ns"])
    for step in steps:
        end = step["finished_ns"] or step["started_ns"]
        lane = next((at for at, free in enumerate(rows) if free <= step["started_ns"]), len(rows))
        if lane == len(rows):
            rows.append(0)
        rows[lane] = end
        events.append(
            {
                "name": step["name"],
                "cat": step.get("stage") or "build",
                "ph": "X",
                "ts": step["started_ns"] // 1000,
                "dur": (end - step["started_ns"]) // 1000,
                "pid": 1,
                "tid": lane + 1,
                "args": {
                    "cached": step["cached"],
                    "miss": step.get("miss", ""),
                    "error": step.get("error", ""),
                },
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ms"}


_BUILDER = ("builder", "", "string", "", "Only the daemon builds: 'default'")

LS = Command(
    "[OPTIONS]",
    ls,
    (
        _BUILDER,
        ("filter", "", "list", None, "Only builds that fit (status=error, ref=..., tag=...)"),
        ("format", "", "string", "table", "Format of the list"),
        ("local", "", "bool", False, ""),
        ("no-trunc", "", "bool", False, "Do not cut names off"),
        ("quiet", "q", "bool", False, "Only print refs"),
    ),
    args=(0, 0),
)
INSPECT = Command(
    "[OPTIONS] [REF]",
    inspect,
    (_BUILDER, ("format", "", "string", "pretty", "pretty, json or a Go template")),
    args=(0, 1),
)
LOGS = Command(
    "[OPTIONS] [REF]",
    logs,
    (_BUILDER, ("progress", "", "string", "plain", "Progress: plain, rawjson, tty")),
    args=(0, 1),
)
RM = Command(
    "[OPTIONS] [REF...]",
    rm,
    (_BUILDER, ("all", "", "bool", False, "Remove all records")),
)
TRACE = Command("[OPTIONS] [REF]", trace, (_BUILDER,), args=(0, 1))
