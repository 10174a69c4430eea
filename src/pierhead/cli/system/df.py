"""``pier system df``: disk usage by images, containers, volumes and build cache."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.listing import Row, render, write_list
from pierhead.cli.format.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"
_RAW = """type: {{.Type}}
total: {{.TotalCount}}
active: {{.Active}}
size: {{.Size}}
reclaimable: {{.Reclaimable}}
"""
_HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_IMAGES = (
    "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}"
    "\t{{.UniqueSize}}\t{{.Containers}}"
)
_CONTAINERS = (
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}"
    "\t{{.Status}}\t{{.Names}}"
)
_VOLUMES = "table {{.Name}}\t{{.Links}}\t{{.Size}}"
_CACHE = (
    "table {{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}"
    "\t{{.UsageCount}}\t{{.Shared}}"
)
_CACHE_HEADERS = {
    "ID": "CACHE ID",
    "CacheType": "CACHE TYPE",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED",
    "UsageCount": "USAGE",
    "Shared": "SHARED",
}


class UsageRow(Row):
    """One kind of thing: how many, how many in use, how big, how much could go."""

    def __init__(self, go_type: str, kind: str, counts: tuple[int, int], sizes: tuple[int, str]):
        self.GO_TYPE = f"*formatter.{go_type}"  # type: ignore[misc]
        self._kind = kind
        self._counts = counts
        self._sizes = sizes

    def Type(self) -> str:
        return self._kind

    def TotalCount(self) -> str:
        return str(self._counts[0])

    def Active(self) -> str:
        return str(self._counts[1])

    def Size(self) -> str:
        return human_size(self._sizes[0])

    def Reclaimable(self) -> str:
        return self._sizes[1]


def _percent(part: int, whole: int) -> str:
    # Go divides towards zero.
    return f"{human_size(part)} ({int(part * 100 / whole)}%)" if whole > 0 else human_size(part)


#: Kind, docker's Go type, and the key of API 1.52 and later for each row.
_KINDS = (
    ("Images", "diskUsageImagesContext", "ImageUsage"),
    ("Containers", "diskUsageContainersContext", "ContainerUsage"),
    ("Local Volumes", "diskUsageVolumesContext", "VolumeUsage"),
    ("Build Cache", "diskUsageBuilderContext", "BuildCacheUsage"),
)
_OLD_KEYS = ("Images", "Containers", "Volumes", "BuildCache")


def counted(usage: dict[str, Any]) -> list[UsageRow]:
    """The four rows where the daemon has counted itself (API 1.52 and later)."""
    rows = []
    for kind, go_type, key in _KINDS:
        part = usage.get(key) or {}
        size, free = int(part.get("TotalSize") or 0), int(part.get("Reclaimable") or 0)
        shown = human_size(free) if kind == "Build Cache" else _percent(free, size)
        counts = (int(part.get("TotalCount") or 0), int(part.get("ActiveCount") or 0))
        rows.append(UsageRow(go_type, kind, counts, (size, shown)))
    return rows


def with_old_keys(usage: dict[str, Any]) -> dict[str, Any]:
    """The answer with its objects where older APIs have them."""
    out = dict(usage)
    for (_, _, key), old in zip(_KINDS, _OLD_KEYS, strict=True):
        if old not in out:
            out[old] = (usage.get(key) or {}).get("Items")
    return out


def summarize(usage: dict[str, Any]) -> list[UsageRow]:
    """The four rows for the answer of ``GET /system/df``."""
    if "ImageUsage" in usage:
        return counted(usage)
    images = usage.get("Images") or []
    layers = int(usage.get("LayersSize") or 0)
    used = sum(
        image["Size"] - image["SharedSize"]
        for image in images
        if image.get("Containers") != 0
        and image.get("Size", -1) != -1
        and image.get("SharedSize", -1) != -1
    )
    containers = usage.get("Containers") or []
    live = [one for one in containers if one.get("State") in ("running", "paused", "restarting")]
    all_rw = sum(int(one.get("SizeRw") or 0) for one in containers)
    live_rw = sum(int(one.get("SizeRw") or 0) for one in live)
    volumes = [one.get("UsageData") or {} for one in usage.get("Volumes") or []]
    sized = [one for one in volumes if one.get("Size", -1) != -1]
    in_volumes = sum(one["Size"] for one in sized)
    idle = sum(one["Size"] for one in sized if one.get("RefCount") == 0)
    cache = usage.get("BuildCache") or []
    built = _cache_size(cache)
    busy = sum(one.get("Size", 0) for one in cache if one.get("InUse") and not one.get("Shared"))
    return [
        UsageRow(
            "diskUsageImagesContext",
            "Images",
            (len(images), len([one for one in images if (one.get("Containers") or 0) > 0])),
            (layers, _percent(layers - used, layers)),
        ),
        UsageRow(
            "diskUsageContainersContext",
            "Containers",
            (len(containers), len(live)),
            (all_rw, _percent(all_rw - live_rw, all_rw)),
        ),
        UsageRow(
            "diskUsageVolumesContext",
            "Local Volumes",
            (len(volumes), len([one for one in volumes if one.get("RefCount", 0) > 0])),
            (in_volumes, _percent(idle, in_volumes)),
        ),
        UsageRow(
            "diskUsageBuilderContext",
            "Build Cache",
            (len(cache), len([one for one in cache if one.get("InUse")])),
            (built, human_size(built - busy)),
        ),
    ]


def _cache_size(cache: list[dict[str, Any]]) -> int:
    return sum(one.get("Size", 0) for one in cache if not one.get("Shared"))


class CacheRow(Row):
    """A record of the build cache."""

    GO_TYPE = "*formatter.buildCacheContext"

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record

    def _age(self, name: str) -> str:
        from pierhead.cli.format.clock import parse_rfc3339, since
        from pierhead.cli.format.units import human_duration

        if not self._record.get(name):
            return ""
        return human_duration(since(*parse_rfc3339(self._record[name]))) + " ago"

    def ID(self) -> str:
        return str(self._record.get("ID", ""))[:12] + ("*" if self._record.get("InUse") else "")

    def CacheType(self) -> str:
        return str(self._record.get("Type", ""))

    def Size(self) -> str:
        return human_size(self._record.get("Size", 0), 3)

    def CreatedSince(self) -> str:
        return self._age("CreatedAt")

    def LastUsedSince(self) -> str:
        return self._age("LastUsedAt")

    def UsageCount(self) -> str:
        return str(self._record.get("UsageCount", 0))

    def Shared(self) -> str:
        return "true" if self._record.get("Shared") else "false"


def _verbose(cli: Cli, usage: dict[str, Any], source: str) -> None:
    from pierhead.cli.format import containers, images, volumes
    from pierhead.cli.format.references import parse

    trunc = source.startswith("table")
    image_rows = []
    for summary in usage.get("Images") or ():
        repository = tag = "<none>"
        if summary.get("RepoTags") and not images.is_dangling(summary):
            try:
                reference = parse(summary["RepoTags"][0])
            except ValueError:
                continue
            repository, tag = reference.familiar_name, reference.tag
        image_rows.append(images.ImageRow(summary, repository, tag, "", trunc=trunc))
    container_rows = [
        containers.ContainerRow({**one, "SizeRootFs": 0}, trunc=trunc)
        for one in usage.get("Containers") or ()
    ]
    volume_rows = [volumes.VolumeRow(one) for one in usage.get("Volumes") or ()]
    cache = usage.get("BuildCache") or []
    cache_rows = [CacheRow(one) for one in cache]
    if source == "table":
        cli.out(
            "Images space usage:\n\n"
            + render(_IMAGES, image_rows, images.HEADERS)
            + "\nContainers space usage:\n\n"
            + render(_CONTAINERS, container_rows, containers.HEADERS)
            + "\nLocal Volumes space usage:\n\n"
            + render(_VOLUMES, volume_rows, volumes.HEADERS)
            + f"\nBuild cache usage: {human_size(_cache_size(cache))}\n\n"
            + render(_CACHE, cache_rows, _CACHE_HEADERS)
        )
        return
    from pierhead.cli.gotemplate import GoStruct, TemplateError
    from pierhead.cli.gotemplate import parse as parse_template
    from pierhead.cli.gotemplate.values import GoList

    data = GoStruct(
        "formatter.diskUsageContext",
        {
            "Images": GoList(image_rows, "[]*formatter.imageContext"),
            "Containers": GoList(container_rows, "[]*formatter.ContainerContext"),
            "Volumes": GoList(volume_rows, "[]*formatter.volumeContext"),
            "BuildCache": GoList(cache_rows, "[]*formatter.buildCacheContext"),
        },
        pointer=True,
    )
    text = "{{json .}}" if source == "json" else source.removeprefix("table").strip(" ")
    try:
        cli.out(parse_template(text.replace("\\t", "\t").replace("\\n", "\n")).execute(data))
    except TemplateError as error:
        cli.out(error.partial)
        raise CliError(f"template parsing error: {error}") from error


def df(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /system/df."""
    verbose = options.flag("verbose")
    usage = cli.client.get("/system/df", {"verbose": True if verbose else None})
    source = options.string("format") or "table"
    if verbose:
        _verbose(cli, with_old_keys(usage), source)
        return
    source = {"table": _TABLE, "raw": _RAW}.get(source, source)
    write_list(cli, source, summarize(usage), _HEADERS)


DF = Command(
    "[OPTIONS]",
    df,
    (
        ("format", "", "string", "", "Print with 'table', 'json', or a Go template"),
        ("verbose", "v", "bool", False, "Show every object"),
    ),
    args=(0, 0),
)
