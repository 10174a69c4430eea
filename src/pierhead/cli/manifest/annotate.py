"""``pier manifest annotate``: say for which platform an image of a list is."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.manifest.record import named, platform_of
from pierhead.cli.manifest.store import Missing, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.format.references import Reference
    from pierhead.cli.main import Cli

#: Go's list (go tool dist list), as docker has it.
_PLATFORMS = {
    "darwin": ("386", "amd64", "arm", "arm64"),
    "dragonfly": ("amd64",),
    "freebsd": ("386", "amd64", "arm"),
    "linux": (
        "386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x",
    ),
    "netbsd": ("386", "amd64", "arm"),
    "openbsd": ("386", "amd64", "arm"),
    "plan9": ("386", "amd64"),
    "solaris": ("amd64",),
    "windows": ("386", "amd64"),
}  # fmt: skip


def _parsed(text: str, what: str) -> Reference:
    try:
        return named(text)
    except CliError as error:
        raise CliError(
            f"annotate: error parsing name for {what} {text}: {error.message}"
        ) from error


def annotate(cli: Cli, options: Options, args: list[str]) -> None:
    """Change the platform that is kept with the image."""
    target, image = _parsed(args[0], "manifest list"), _parsed(args[1], "manifest")
    store = Store(cli)
    try:
        record = store.get(target, image)
    except Missing as error:
        raise CliError(f"manifest for image {args[1]} does not exist in {args[0]}") from error
    platform = dict(record.platform or {})
    for flag, key in (
        ("os", "os"), ("arch", "architecture"), ("variant", "variant"), ("os-version", "os.version")
    ):  # fmt: skip
        if options.string(flag):
            platform[key] = options.string(flag)
    features = list(platform.get("os.features") or [])
    features += [each for each in options.strings("os-features") if each not in features]
    platform["os.features"] = list(dict.fromkeys(features))
    record.platform = platform_of(platform)
    if record.platform["architecture"] not in _PLATFORMS.get(record.platform["os"], ()):
        raise CliError(
            "manifest entry for image has unsupported os/arch combination: "
            f"{options.string('os')}/{options.string('arch')}"
        )
    store.save(target, image, record)


ANNOTATE = Command(
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    annotate,
    (
        ("arch", "", "string", "", "Set the architecture"),
        ("os", "", "string", "", "Set the operating system"),
        ("os-features", "", "stringSlice", None, "Add a feature of the operating system"),
        ("os-version", "", "string", "", "Set the version of the operating system"),
        ("variant", "", "string", "", "Set the variant of the architecture"),
    ),
    args=(2, 2),
)
