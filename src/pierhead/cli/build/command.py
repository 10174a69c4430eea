"""``pier build`` and ``pier buildx build``: one image from one Dockerfile."""

from __future__ import annotations

import posix

from pierhead.cli.build import values
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.main import getenv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.build.progress.display import Display
    from pierhead.cli.build.request import Request
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def request_of(options: Options, context: str) -> Request:
    """The command line as a request. Raises ``CliError``."""
    from pierhead.cli.build.request import Request

    request = Request()
    request.context = context
    request.dockerfile = options.string("file")
    request.target = options.string("target")
    request.tags = options.strings("tag")
    request.platforms = options.strings("platform")
    if not request.platforms and (platform := getenv("DOCKER_DEFAULT_PLATFORM")):
        request.platforms = [platform]
    request.no_cache = options.flag("no-cache")
    request.no_cache_filter = options.strings("no-cache-filter")
    request.pull = options.flag("pull")
    request.network = options.string("network")
    request.allow = options.strings("allow")
    request.squash = options.flag("squash")
    try:
        _parsed(request, options)
    except ValueError as error:
        raise CliError(f"ERROR: {error}") from None
    return request


def _parsed(request: Request, options: Options) -> None:
    environment = {
        key.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
        for key, value in posix.environ.items()
    }
    request.build_args = values.key_values(options.strings("build-arg"), environment)
    if "SOURCE_DATE_EPOCH" not in request.build_args and getenv("SOURCE_DATE_EPOCH"):
        request.build_args["SOURCE_DATE_EPOCH"] = getenv("SOURCE_DATE_EPOCH")
    request.labels = values.key_values(options.strings("label"), None)
    request.annotations = values.annotation_keys(options.strings("annotation"))
    request.contexts = values.contexts(options.strings("build-context"))
    request.outputs = values.outputs(options.strings("output"))
    request.cache_from = values.cache_entries(options.strings("cache-from"))
    request.cache_to = values.cache_entries(options.strings("cache-to"))
    attests = list(options.strings("attest"))
    for kind in ("provenance", "sbom"):
        if options.string(kind):
            attests.append(values.attestation_flag(kind, options.string(kind)))
    request.attestations = values.attestations(attests)
    request.secrets = [values.secret(text) for text in options.strings("secret") if text]
    request.ssh = [values.ssh(text) for text in options.strings("ssh") if text]
    request.hosts = values.hosts(options.strings("add-host"))
    request.ulimits = values.ulimits(options.strings("ulimit"))
    request.limits = limits_of(options)
    request.call = values.call(options.string("call"))
    if options.flag("check"):
        request.call["name"] = "lint"
    if options.string("iidfile"):
        for entry in request.outputs:
            if entry["type"] in ("local", "tar"):
                raise ValueError("local and tar exporters are incompatible with image ID file")
    request.push_and_load(push=options.flag("push"), load=options.flag("load"))


def limits_of(options: Options) -> dict[str, object]:
    """What RUN steps may take, as fields of the daemon's ``Limits``."""
    found: dict[str, object] = {
        "memory": options.integer("memory"),
        "memory_swap": options.integer("memory-swap"),
        "cpu_shares": options.integer("cpu-shares"),
        "cpu_period": options.integer("cpu-period"),
        "cpu_quota": options.integer("cpu-quota"),
        "cpuset_cpus": options.string("cpuset-cpus"),
        "cpuset_mems": options.string("cpuset-mems"),
        "shm_size": options.integer("shm-size"),
        "cgroup_parent": options.string("cgroup-parent"),
    }
    return {key: value for key, value in found.items() if value}


def progress_mode(options: Options) -> tuple[str, bool]:
    """(mode of the display, whether the image's id is printed). Raises ``CliError``."""
    mode = options.string("progress")
    if not options.changed("progress"):
        mode = getenv("BUILDKIT_PROGRESS") or mode
    quiet = options.flag("quiet") or mode == "quiet"
    if quiet and mode not in ("auto", "none", "quiet", ""):
        raise CliError(f"ERROR: progress={mode} and quiet cannot be used together")
    return ("quiet" if quiet or mode == "none" else mode), quiet


_DEPRECATED = (
    ("isolation", "isolation flag is deprecated with BuildKit."),
    (
        "security-opt",
        'security-opt flag is deprecated. "RUN --security=insecure" should be used with BuildKit.',
    ),
)


def check_builder(options: Options) -> None:
    """There is one builder, the daemon. Raises ``CliError`` for others."""
    name = options.string("builder") or getenv("BUILDX_BUILDER")
    if name not in ("", "default"):
        raise CliError(f'ERROR: no builder "{name}" found: Pierhead has one, "default": the daemon')


def build(cli: Cli, options: Options, args: list[str]) -> int | None:
    """POST /pierhead/build, or POST /build where the daemon is a Docker."""
    check_builder(options)
    for flag, told in _DEPRECATED:
        if options.changed(flag):
            cli.err(f"WARNING: {told}\n")
    request = request_of(options, args[0])
    request.debug = options.flag("debug")
    mode, quiet = progress_mode(options)
    id_file, metadata_file = options.string("iidfile"), options.string("metadata-file")
    from pierhead.cli.build import outcome, perform
    from pierhead.cli.build.door import BuildFailed
    from pierhead.cli.build.progress.display import Display

    if id_file:
        outcome.remove_stale(id_file)
    display = Display(
        mode,
        text='building with "default" instance using docker driver',
        console="docker:default",
    )
    located = perform.prepare(request)
    extra: dict[str, Any] = {}
    if request.call["name"] != "build":
        extra["call"] = {"lint": "check"}.get(request.call["name"], request.call["name"])
    try:
        result = perform.build(cli, request, located, display, extra=extra)
    except BuildFailed as error:
        display.close()
        perform.tell_warnings(cli, display)
        code = perform.report(cli, error, request)
        if error.fields.get("debug_id") and posix.isatty(0) and posix.isatty(1):
            from pierhead.cli.build.debug import shell

            shell(cli, str(error.fields["debug_id"]), [])
        raise code from None
    except perform.NoDoor:
        from pierhead.cli.build.classic import build as classic

        return classic(cli, options, request, located, quiet=quiet)
    display.close()
    if extra:
        return print_description(cli, request, result)
    perform.tell_warnings(cli, display)
    _finish(cli, display, result, quiet=quiet, id_file=id_file, metadata_file=metadata_file)
    return None


def _finish(
    cli: Cli,
    display: Display,
    result: dict[str, Any],
    *,
    quiet: bool,
    id_file: str,
    metadata_file: str,
) -> None:
    from pierhead.cli.build import outcome

    if quiet:
        cli.out(outcome.image_id(result) + "\n")
    if id_file:
        outcome.replace_file(id_file, outcome.image_id(result).encode())
    if metadata_file:
        wanted = getenv("BUILDX_METADATA_WARNINGS") in ("1", "true")
        warnings = display.trace.warnings if wanted else []
        outcome.write_metadata(metadata_file, outcome.metadata_of(result, warnings))


def print_description(cli: Cli, request: Request, result: dict[str, Any]) -> int:
    """Print what ``--check`` or ``--call`` found; the exit code."""
    from pierhead.cli.build import described, outcome

    value = result.get("described") or {}
    name = request.call["name"]
    if request.call["format"] == "json":
        from pierhead.cli.gotemplate.json_text import indent
        from pierhead.client.json_fast import dumps

        cli.out(indent(dumps(outcome.in_order(value)), "  ") + "\n")
    elif name == "lint":
        text, error = described.lint_text(value, request.dockerfile)
        cli.out(text)
        if error:
            cli.err(f"ERROR: {error}\n")
            return 1
    elif name == "outline":
        cli.out(described.outline_text(value))
    else:
        cli.out(described.targets_text(value))
    if name == "lint" and (value.get("warnings") or value.get("buildError")):
        return 0 if request.call["ignorestatus"] else 1
    return 0


FLAGS: tuple[tuple[Any, ...], ...] = (
    ("add-host", "", "list", None, "Add a host to /etc/hosts of RUN steps, name:address"),
    ("allow", "", "list", None, "Allow network.host, security.insecure or device"),
    ("annotation", "", "list", None, "Add an annotation to the image"),
    ("attest", "", "list", None, "Attestation parameters (type=sbom, type=provenance,mode=max)"),
    ("build-arg", "", "list", None, "Set variables of the build"),
    ("build-context", "", "list", None, "Further build contexts, name=path or URL"),
    ("builder", "", "string", "", "Only the daemon builds: 'default'"),
    ("cache-from", "", "list", None, "Where cached steps come from, as well"),
    ("cache-to", "", "list", None, "Where the cache of this build goes"),
    ("call", "", "string", "build", "Do this instead: build, check, outline, targets"),
    ("cgroup-parent", "", "string", "", "Parent cgroup of RUN steps"),
    ("check", "", "bool", False, "Shorthand for --call=check"),
    ("compress", "", "bool", False, ""),
    ("cpu-period", "", "int64", 0, "Limit the CPU's CFS period, microseconds"),
    ("cpu-quota", "", "int64", 0, "Limit the CPU's CFS quota, microseconds"),
    ("cpu-shares", "c", "int64", 0, "CPU shares (relative weight)"),
    ("cpuset-cpus", "", "string", "", "CPUs that RUN steps may use (0-3, 0,1)"),
    ("cpuset-mems", "", "string", "", "Memory nodes that RUN steps may use (0-3, 0,1)"),
    ("debug", "", "bool", False, "Keep a step that fails, and open a shell in it"),
    ("file", "f", "string", "", "The Dockerfile (default PATH/Dockerfile); - is stdin"),
    ("force-rm", "", "bool", False, ""),
    ("iidfile", "", "string", "", "Write the image's id to this file"),
    ("isolation", "", "string", "", ""),
    ("label", "", "list", None, "Add a label to the image"),
    ("load", "", "bool", False, "Shorthand for --output=type=docker"),
    ("memory", "m", "bytes", 0, "Memory limit of RUN steps"),
    ("memory-swap", "", "bytes", 0, "Limit of memory and swap; -1 is no limit of swap"),
    ("metadata-file", "", "string", "", "Write what came of the build to this file"),
    (
        "network",
        "",
        "string",
        "default",
        "Network of RUN steps: default, none, host, or one of yours",
    ),
    ("no-cache", "", "bool", False, "Do not use the cache"),
    ("no-cache-filter", "", "list", None, "Do not use the cache for these stages"),
    ("output", "o", "list", None, "Where the result goes (type=local,dest=path)"),
    ("platform", "", "list", None, "Platforms to build for"),
    ("print", "", "alias", "call", ""),
    ("progress", "", "string", "auto", "Progress: auto, none, plain, quiet, rawjson, tty"),
    ("provenance", "", "string", "", "Shorthand for --attest=type=provenance"),
    ("pull", "", "bool", False, "Always look for newer base images"),
    ("push", "", "bool", False, "Shorthand for --output=type=registry"),
    ("quiet", "q", "bool", False, "Show no progress, print the image's id"),
    ("rm", "", "bool", True, ""),
    ("sbom", "", "string", "", "Shorthand for --attest=type=sbom"),
    ("secret", "", "list", None, "A secret for RUN steps (id=name[,src=path])"),
    ("security-opt", "", "stringSlice", None, ""),
    ("shm-size", "", "bytes", 0, "Size of /dev/shm in RUN steps"),
    ("squash", "", "bool", False, "Make one layer of all new ones"),
    ("ssh", "", "list", None, "ssh agent or keys for RUN steps (default|id[=socket|key])"),
    ("stream", "", "bool", False, ""),
    ("tag", "t", "list", None, "Name of the image, and a tag (name:tag)"),
    ("target", "", "string", "", "Build this stage"),
    ("ulimit", "", "ulimit", None, "Limits of RUN steps, name=soft[:hard]"),
)

BUILD = Command("[OPTIONS] PATH | URL | -", build, FLAGS, args=(1, 1))
