"""``du`` and ``prune`` of the build cache."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = "table {{.ID}}\t{{.Reclaimable}}\t{{.Size}}\t{{.LastUsedAt}}"
_HEADERS = {
    "ID": "ID",
    "Parents": "PARENTS",
    "CreatedAt": "CREATED AT",
    "Mutable": "MUTABLE",
    "Reclaimable": "RECLAIMABLE",
    "Shared": "SHARED",
    "Size": "SIZE",
    "Description": "DESCRIPTION",
    "UsageCount": "USAGE COUNT",
    "LastUsedAt": "LAST ACCESSED",
    "Type": "TYPE",
}
_SURE = "\nAre you sure you want to continue?"


def records(cli: Cli, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
    """``BuildCache`` of GET /system/df, those that fit. Raises ``CliError``."""
    found = cli.client.get("/system/df", {"type": "build-cache"}).get("BuildCache") or []
    return [one for one in found if fits(one, filters)]


def fits(record: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    """Whether a record fits: id, parent, type, description, inuse, shared, private."""
    for key, wanted in filters.items():
        if key in ("until", "unused-for"):
            continue
        if key == "id":
            values = [str(record.get("ID", ""))]
        elif key in ("parent", "parents"):
            values = [str(one) for one in record.get("Parents") or ()]
        elif key in ("type", "description"):
            values = [str(record.get(key.capitalize(), ""))]
        elif key in ("inuse", "shared", "private", "mutable", "immutable"):
            state = {
                "inuse": record.get("InUse"),
                "shared": record.get("Shared"),
                "private": not record.get("Shared"),
                "mutable": record.get("Type") == "exec.cachemount",
                "immutable": record.get("Type") != "exec.cachemount",
            }[key]
            values = ["", "true", "1"] if state else ["false", "0"]
        else:
            raise CliError(f"ERROR: invalid filter {key}")
        exact = key not in ("id", "description")
        if not any(
            (value == one if exact else value.startswith(one)) for value in values for one in wanted
        ):
            return False
    return True


def du(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /system/df of the build cache."""
    from pierhead.cli.format.listing import print_list
    from pierhead.cli.format.units import human_size

    form = options.string("format")
    if form and options.flag("verbose"):
        raise CliError("ERROR: --format and --verbose cannot be used together")
    filters = parse_filters(options.strings("filter")) or {}
    found = records(cli, filters)
    pretty = options.flag("verbose") or form == "pretty"
    table = form in ("", "table") and not pretty
    rows: list[dict[str, Any]] = []
    for one in found:
        used = one.get("LastUsedAt")
        mutable = one.get("Type") == "exec.cachemount"
        size = human_size(one.get("Size") or 0)
        rows.append(
            {
                "ID": str(one.get("ID", "")) + ("*" if table and mutable else ""),
                "Parents": one.get("Parents") or [],
                "CreatedAt": str(one.get("CreatedAt", "")),
                "Mutable": mutable,
                "Reclaimable": str(not one.get("InUse")).lower(),
                "Shared": bool(one.get("Shared")),
                "Size": size + ("*" if table and one.get("Shared") else ""),
                "Description": str(one.get("Description", "")),
                "UsageCount": int(one.get("UsageCount") or 0),
                "LastUsedAt": _ago(used) if used else "",
                "Type": str(one.get("Type", "")),
            }
        )
    if pretty:
        cli.out("\n".join(_pretty(row) for row in rows) + ("\n" if rows else ""))
    else:
        print_list(cli, rows, format=form, table=_TABLE, headers=_HEADERS)
    if (table or pretty) and not filters:
        cli.out(summary(found))


def _ago(moment: str) -> str:
    from pierhead.cli.format.clock import parse_rfc3339, since
    from pierhead.cli.format.units import human_duration

    return f"{human_duration(since(parse_rfc3339(moment)[0]))} ago"


def _pretty(row: dict[str, Any]) -> str:
    lines = [f"ID:           {row['ID']}"]
    if row["Parents"]:
        lines += ["Parents:", *(f" - {one}" for one in row["Parents"])]
    lines += [
        f"Created at:   {row['CreatedAt']}",
        f"Mutable:      {str(row['Mutable']).lower()}",
        f"Reclaimable:  {row['Reclaimable']}",
        f"Shared:       {str(row['Shared']).lower()}",
        f"Size:         {row['Size']}",
    ]
    if row["Description"]:
        lines.append(f"Description:  {row['Description']}")
    lines.append(f"Usage count:  {row['UsageCount']}")
    if row["LastUsedAt"]:
        lines.append(f"Last used:    {row['LastUsedAt']}")
    if row["Type"]:
        lines.append(f"Type:         {row['Type']}")
    return "\n".join(lines) + "\n"


def summary(found: list[dict[str, Any]]) -> str:
    """Sums at the end of ``du``."""
    from pierhead.cli.format.tabwriter import tabbed
    from pierhead.cli.format.units import human_size

    sizes = [(int(one.get("Size") or 0), one) for one in found]
    total = sum(size for size, _ in sizes)
    shared = sum(size for size, one in sizes if one.get("Shared"))
    free = sum(size for size, one in sizes if not one.get("InUse"))
    lines = []
    if shared:
        lines += [["Shared:", human_size(shared)], ["Private:", human_size(total - shared)]]
    lines += [["Reclaimable:", human_size(free)], ["Total:", human_size(total)]]
    return tabbed(lines)


def _prune(cli: Cli, options: Options, limits: dict[str, int]) -> dict[str, Any] | None:
    """Ask, then POST /build/prune; ``None`` if the answer was no."""
    from pierhead.cli.format.prompt import confirm

    everything = options.flag("all")
    what = "all build cache" if everything else "all dangling build cache"
    warning = f"WARNING! This will remove {what}.{_SURE}"
    if not options.flag("force") and not confirm(cli, warning):
        return None
    query: dict[str, Any] = {
        "all": everything or None,
        "filters": parse_filters(options.strings("filter")) or None,
        **{key: value or None for key, value in limits.items()},
    }
    return cli.client.post("/build/prune", query) or {}


def builder_prune(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /build/prune, told as the docker CLI does."""
    from pierhead.cli.pruning import build_cache_report, finish

    report = _prune(cli, options, {"keep-storage": options.integer("keep-storage")})
    if report is None:
        return
    reclaimed, output = build_cache_report(report)
    finish(cli, output, reclaimed)


def prune(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /build/prune, told as buildx does."""
    from pierhead.cli.format.tabwriter import tabbed
    from pierhead.cli.format.units import human_size

    reserved = options.integer("reserved-space") or options.integer("keep-storage")
    report = _prune(
        cli,
        options,
        {
            "reserved-space": reserved,
            "max-used-space": options.integer("max-used-space"),
            "min-free-space": options.integer("min-free-space"),
        },
    )
    if report is None:
        return
    deleted = report.get("CachesDeleted") or []
    if deleted:
        cli.out("\n".join(["ID", *deleted]) + "\n")
    cli.out(tabbed([["Total:", human_size(int(report.get("SpaceReclaimed") or 0))]]))


_BUILDER = ("builder", "", "string", "", "Only the daemon builds: 'default'")
_FILTER = ("filter", "", "filter", None, "Only what fits name=value", check_filter)

DU = Command(
    "[OPTIONS]",
    du,
    (
        _BUILDER,
        _FILTER,
        ("format", "", "string", "", "Format of the list"),
        ("verbose", "", "bool", False, "Shorthand for --format=pretty"),
    ),
    args=(0, 0),
)
PRUNE = Command(
    "[OPTIONS]",
    prune,
    (
        ("all", "a", "bool", False, "Remove everything that nobody uses"),
        _BUILDER,
        _FILTER,
        ("force", "f", "bool", False, "Do not ask"),
        ("keep-storage", "", "bytes", 0, ""),
        ("max-used-space", "", "bytes", 0, "Disk space that the cache may keep at most"),
        ("min-free-space", "", "bytes", 0, "Free disk space to reach"),
        ("reserved-space", "", "bytes", 0, "Disk space that the cache may always keep"),
        ("verbose", "", "bool", False, ""),
    ),
    args=(0, 0),
)
BUILDER_PRUNE = Command(
    "[OPTIONS]",
    builder_prune,
    (
        ("all", "a", "bool", False, "Remove everything that nobody uses"),
        _FILTER,
        ("force", "f", "bool", False, "Do not ask"),
        ("keep-storage", "", "bytes", 0, "Disk space to keep for the cache"),
    ),
    args=(0, 0),
)
