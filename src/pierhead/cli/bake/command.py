"""``pier bake`` and ``pier buildx bake``: many images from one file of definitions."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError, Exit
from pierhead.cli.flags import Command
from pierhead.cli.main import getenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.bake.config import Config
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def bake(cli: Cli, options: Options, args: list[str]) -> int | None:
    """Read the files, then show, list or build what is asked for."""
    from pierhead.cli.bake import listing
    from pierhead.cli.bake.hcl.nodes import HclError
    from pierhead.cli.bake.target import BakeProblem
    from pierhead.cli.build.sources import is_remote

    if args and is_remote(args[0]):
        raise CliError(
            "ERROR: bake files by URL are not implemented yet in Pierhead: fetch them, then use -f"
        )
    if options.flag("print") and options.string("list"):
        raise CliError("ERROR: --print and --list are mutually exclusive")
    wanted = args or ["default"]
    files: list[tuple[str, bytes]] = []
    try:
        files = read_files(options.strings("file") or _files_of_environment())
        if not files:
            raise CliError("ERROR: couldn't find a bake definition")
        config = parsed(files, options.strings("var"))
        if kind := options.string("list"):
            cli.out(listing.listed(config, kind))
            return None
        groups, targets = config.resolve(wanted, overrides(options), environment())
    except HclError as error:
        from pierhead.cli.build.failure import excerpt

        shown = excerpt(error.source.name, error.source.text, [(error.line, error.last)])
        cli.err(f"{shown}ERROR: {error}\n")
        raise Exit(1) from None
    except (BakeProblem, ValueError) as error:
        raise CliError(f"ERROR: {error}") from None
    _epoch(targets)
    if options.flag("print"):
        cli.out(listing.printed(groups, targets))
        return None
    from pierhead.cli.bake.run import build_all

    return build_all(cli, options, targets)


def _epoch(targets: dict[str, dict[str, Any]]) -> None:
    """``SOURCE_DATE_EPOCH`` of the environment goes to every target without its own."""
    value = getenv("SOURCE_DATE_EPOCH")
    for target in targets.values():
        if value and "SOURCE_DATE_EPOCH" not in target.get("args", {}):
            target["args"] = {**target.get("args", {}), "SOURCE_DATE_EPOCH": value}


def environment() -> dict[str, str]:
    """The environment as text."""
    return {
        key.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
        for key, value in posix.environ.items()
    }


def _files_of_environment() -> list[str]:
    """``BUILDX_BAKE_FILE``, separated by ``BUILDX_BAKE_FILE_SEPARATOR`` or ``:``."""
    text = getenv("BUILDX_BAKE_FILE")
    if not text:
        return []
    return [name for name in text.split(getenv("BUILDX_BAKE_FILE_SEPARATOR") or ":") if name]


def read_files(names: list[str]) -> list[tuple[str, bytes]]:
    """Names and contents; the usual names where there are none. Raises ``CliError``."""
    from pierhead.cli.bake.config import DEFAULT_FILES
    from pierhead.cli.build.answers import error_text, read_file

    found: list[tuple[str, bytes]] = []
    for name in names or DEFAULT_FILES:
        path = name.removeprefix("cwd://")
        if path == "-":
            data = b""
            while part := posix.read(0, 1 << 16):
                data += part
            found.append((path, data))
            continue
        try:
            found.append((path, read_file(path, 16 << 20)))
        except FileNotFoundError as error:
            if names:
                raise CliError(f"ERROR: {error_text(error)}") from None
        except OSError as error:
            raise CliError(f"ERROR: {error_text(error)}") from None
    return found


def parsed(files: list[tuple[str, bytes]], variables: list[str]) -> Config:
    """The files' definitions. Raises ``HclError``, ``BakeProblem``, ``ValueError``."""
    from pierhead.cli.bake.config import parse
    from pierhead.cli.bake.target import BakeProblem

    given: dict[str, str] = {}
    for text in variables:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BakeProblem(f'invalid variable "{text}", expected name=value')
        given[name] = value
    lookup = environment()
    if getenv("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP") in ("1", "true"):
        lookup = {}
    builtin = {"BAKE_CMD_CONTEXT": "cwd://", "BAKE_LOCAL_PLATFORM": local_platform()}
    return parse(files, builtin, given, lookup, compose_environment=lambda: _with_dotenv(lookup))


def _with_dotenv(found: dict[str, str]) -> dict[str, str]:
    """The environment, and what ``.env`` adds to it."""
    from pierhead.cli.build.answers import read_file

    try:
        text = read_file(".env", 1 << 20).decode("utf-8", "replace")
    except OSError:
        return found
    out = dict(found)
    for line in text.split("\n"):
        line = line.strip().removeprefix("export ")
        name, equals, value = line.partition("=")
        if not equals or line.startswith("#") or name.strip() in found:
            continue
        value = value.strip()
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
            value = value[1:-1]
        else:
            value = value.partition(" #")[0].rstrip()
        out[name.strip()] = value
    return out


def local_platform() -> str:
    """This machine's, as Docker writes it."""
    machine = posix.uname().machine
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}
    return f"linux/{names.get(machine, machine)}"


def overrides(options: Options) -> list[str]:
    """``--set``, and the flags that are short for it."""
    from pierhead.cli.build import values

    found = list(options.strings("set"))
    if options.flag("push"):
        found.append("*.push=true")
    if options.flag("load"):
        found.append("*.load=true")
    call = values.call("check" if options.flag("check") else options.string("call"))
    if call["name"] != "build":
        found.append(f"*.call={call['name']}")
    for name in ("no-cache", "pull"):
        if options.changed(name):
            found.append(f"*.{name}={'true' if options.flag(name) else 'false'}")
    for kind in ("sbom", "provenance"):
        if options.string(kind):
            found.append(f"*.attest={values.attestation_flag(kind, options.string(kind))}")
    return found


BAKE = Command(
    "[OPTIONS] [TARGET...]",
    bake,
    (
        ("allow", "", "list", None, "Allow network.host, security.insecure or device"),
        ("builder", "", "string", "", "Only the daemon builds: 'default'"),
        ("call", "", "string", "build", "Do this instead: build, check, outline, targets"),
        ("check", "", "bool", False, "Shorthand for --call=check"),
        ("file", "f", "list", None, "Files with definitions (docker-bake.hcl, compose.yaml...)"),
        ("list", "", "string", "", "List targets or variables"),
        ("load", "", "bool", False, "Shorthand for --set=*.output=type=docker"),
        ("metadata-file", "", "string", "", "Write what came of the builds to this file"),
        ("no-cache", "", "bool", False, "Do not use the cache"),
        ("print", "", "bool", False, "Show what would be built, as JSON"),
        ("progress", "", "string", "auto", "Progress: auto, none, plain, quiet, rawjson, tty"),
        ("provenance", "", "string", "", "Shorthand for --set=*.attest=type=provenance"),
        ("pull", "", "bool", False, "Always look for newer base images"),
        ("push", "", "bool", False, "Shorthand for --set=*.output=type=registry"),
        ("sbom", "", "string", "", "Shorthand for --set=*.attest=type=sbom"),
        ("set", "", "list", None, "Override a value (targetpattern.key=value)"),
        ("var", "", "list", None, "Set a variable (name=value)"),
    ),
)
