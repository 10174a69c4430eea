"""``pier system prune``: remove all unused data."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters, with_prune_filters
from pierhead.cli.format.prompt import confirm
from pierhead.cli.format.text import natural_key
from pierhead.cli.pruning import (
    finish,
    prune_build_cache,
    prune_containers,
    prune_images,
    prune_networks,
    prune_volumes,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.format.filters import Filters
    from pierhead.cli.main import Cli


def _containers(cli: Cli, filters: Filters, everything: bool) -> tuple[int, str]:
    return prune_containers(cli, filters)


def _networks(cli: Cli, filters: Filters, everything: bool) -> tuple[int, str]:
    return prune_networks(cli, filters)


def _volumes(cli: Cli, filters: Filters, everything: bool) -> tuple[int, str]:
    return prune_volumes(cli, filters)


def _images(cli: Cli, filters: Filters, everything: bool) -> tuple[int, str]:
    return prune_images(cli, filters, everything=everything)


def _build_cache(cli: Cli, filters: Filters, everything: bool) -> tuple[int, str]:
    return prune_build_cache(cli, filters, everything=everything)


_STEPS = {
    "containers": _containers,
    "networks": _networks,
    "volumes": _volumes,
    "images": _images,
    "build cache": _build_cache,
}


def question(filters: Filters, *, everything: bool, volumes: bool) -> str:
    """What will go, for the person to decide."""
    things = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        things.append("all anonymous volumes not used by at least one container")
    things.append(
        "all images without at least one container associated to them"
        if everything
        else "all dangling images"
    )
    things.append("all build cache" if everything else "unused build cache")
    lines = ["WARNING! This will remove:", *[f"  - {thing}" for thing in things], ""]
    chosen = [
        f"{name}={value}"
        for name in ("label", "label!", "until")
        for value in filters.get(name, ())
    ]
    if chosen:
        lines.append("  Items to be pruned will be filtered with:")
        lines += [f"  - {text}" for text in sorted(chosen, key=natural_key)]
        lines.append("")
    return "\n".join([*lines, "Are you sure you want to continue?"])


def prune(cli: Cli, options: Options, args: list[str]) -> None:
    """The prune of containers, networks, volumes if asked, images, build cache; one report."""
    filters = parse_filters(options.strings("filter")) or {}
    everything, volumes = options.flag("all"), options.flag("volumes")
    if volumes and "until" in filters:
        raise CliError('ERROR: The "until" filter is not supported with "--volumes"')
    if not options.flag("force"):
        shown = with_prune_filters(cli.config, filters)
        if not confirm(cli, question(shown, everything=everything, volumes=volumes)):
            return
    total = 0
    for name, step in _STEPS.items():
        if name == "volumes" and not volumes:
            continue
        reclaimed, output = step(cli, filters, everything)
        total += reclaimed
        if output:
            cli.out(output + "\n")
    finish(cli, "", total)


PRUNE = Command(
    "[OPTIONS]",
    prune,
    (
        ("all", "a", "bool", False, "Remove all unused images, not only dangling ones"),
        ("filter", "", "filter", None, "Remove only what fits name=value", check_filter),
        ("force", "f", "bool", False, "Do not ask"),
        ("volumes", "", "bool", False, "Remove unused anonymous volumes too"),
    ),
    args=(0, 0),
)
