"""What all ``prune`` commands share: the question, the request, the report."""

from __future__ import annotations

from pierhead.cli.format.filters import with_prune_filters
from pierhead.cli.format.prompt import confirm
from pierhead.cli.format.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pierhead.cli.format.filters import Filters
    from pierhead.cli.main import Cli

_SURE = "\nAre you sure you want to continue?"


def agreed(cli: Cli, what: str) -> bool:
    """Ask whether ``what`` may be removed."""
    return confirm(cli, f"WARNING! This will remove {what}.{_SURE}")


def finish(cli: Cli, output: str, reclaimed: int) -> None:
    """Print what was removed, and the space won."""
    text = output + "\n" if output else ""
    cli.out(f"{text}Total reclaimed space: {human_size(reclaimed)}\n")


def _prune(cli: Cli, kind: str, title: str, key: str, filters: Filters | None) -> tuple[int, str]:
    merged = with_prune_filters(cli.config, filters)
    report = cli.client.post(f"/{kind}/prune", {"filters": merged or None}) or {}
    deleted = report.get(key) or []
    if not deleted:
        return 0, ""
    return int(report.get("SpaceReclaimed") or 0), "\n".join([f"{title}:", *deleted]) + "\n"


def prune_containers(cli: Cli, filters: Filters | None) -> tuple[int, str]:
    """Remove stopped containers: bytes won, report."""
    return _prune(cli, "containers", "Deleted Containers", "ContainersDeleted", filters)


def prune_networks(cli: Cli, filters: Filters | None) -> tuple[int, str]:
    """Remove unused networks: always 0, report."""
    return _prune(cli, "networks", "Deleted Networks", "NetworksDeleted", filters)


def prune_volumes(cli: Cli, filters: Filters | None) -> tuple[int, str]:
    """Remove unused volumes: bytes won, report."""
    return _prune(cli, "volumes", "Deleted Volumes", "VolumesDeleted", filters)


def prune_images(cli: Cli, filters: Filters | None, *, everything: bool) -> tuple[int, str]:
    """Remove dangling images, or all unused ones: bytes won, report."""
    merged = with_prune_filters(
        cli.config, {**(filters or {}), "dangling": ["false" if everything else "true"]}
    )
    report = cli.client.post("/images/prune", {"filters": merged}) or {}
    deleted = report.get("ImagesDeleted") or []
    if not deleted:
        return 0, ""
    lines = ["Deleted Images:"]
    for item in deleted:
        if item.get("Untagged"):
            lines.append(f"untagged: {item['Untagged']}")
        else:
            lines.append(f"deleted: {item.get('Deleted', '')}")
    return int(report.get("SpaceReclaimed") or 0), "\n".join(lines) + "\n"


def prune_build_cache(cli: Cli, filters: Filters | None, *, everything: bool) -> tuple[int, str]:
    """Remove build cache that nobody uses: bytes won, report.

    It has no labels, so none of it fits where labels are asked for.
    """
    wanted = with_prune_filters(cli.config, filters) or {}
    if "label" in wanted or "label!" in wanted or not cli.client.version_at_least("1.31"):
        return 0, ""
    query = {"all": everything or None, "filters": wanted or None}
    return build_cache_report(cli.client.post("/build/prune", query) or {})


def build_cache_report(report: Mapping[str, Any]) -> tuple[int, str]:
    """Bytes won and text of what POST /build/prune answered."""
    deleted = report.get("CachesDeleted") or []
    text = "\n".join(["Deleted build cache objects:", *deleted]) + "\n" if deleted else ""
    return int(report.get("SpaceReclaimed") or 0), text
