"""A build at a Docker's daemon: the context as a tar to ``POST /build``.

Docker's classic builder knows less than ours; what it can't do is refused by name, with
the way out.
"""

from __future__ import annotations

import posix

from pierhead.cli.build.answers import error_text, read_file
from pierhead.cli.build.door import stdin_blocks
from pierhead.cli.build.sources import is_remote
from pierhead.cli.errors import CliError
from pierhead.cli.paths import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pierhead.cli.build.request import Request
    from pierhead.cli.build.sources import Located
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def unsupported(request: Request) -> str:
    """The flag that Docker's classic builder has no idea of, "" if there is none."""
    outputs = [entry for entry in request.outputs if entry != {"type": "image"}]
    for wanted, flag in (
        (outputs, "--output"),
        (request.secrets, "--secret"),
        (request.ssh, "--ssh"),
        (request.contexts, "--build-context"),
        (request.cache_to, "--cache-to"),
        (request.annotations, "--annotation"),
        (any(one is not None for one in request.attestations.values()), "--attest"),
        (len(request.platform_list()) > 1, "--platform with several platforms"),
        (request.no_cache_filter, "--no-cache-filter"),
        (request.allow, "--allow"),
        (request.call["name"] != "build", "--call"),
    ):
        if wanted:
            return flag
    return ""


def query_of(request: Request, options: Options, *, quiet: bool) -> dict[str, Any]:
    """The query of ``POST /build``, empty values left out."""
    limits = request.limits
    query: dict[str, Any] = {
        "t": request.tags,
        "buildargs": request.build_args,
        "labels": request.labels,
        "target": request.target,
        "platform": ",".join(request.platform_list()),
        "networkmode": request.network,
        "nocache": request.no_cache or None,
        "pull": request.pull or None,
        "q": quiet or None,
        "squash": request.squash or None,
        "rm": options.flag("rm"),
        "forcerm": options.flag("force-rm") or None,
        "extrahosts": [f"{name}:{address}" for name, address in request.hosts],
        "memory": limits.get("memory"),
        "memswap": limits.get("memory_swap"),
        "cpushares": limits.get("cpu_shares"),
        "cpuperiod": limits.get("cpu_period"),
        "cpuquota": limits.get("cpu_quota"),
        "cpusetcpus": limits.get("cpuset_cpus"),
        "cpusetmems": limits.get("cpuset_mems"),
        "shmsize": limits.get("shm_size"),
        "cgroupparent": limits.get("cgroup_parent"),
    }
    references = [entry["ref"] for entry in request.cache_from if entry.get("ref")]
    if references:
        from pierhead.client.json_fast import dumps

        query["cachefrom"] = dumps(references)
    if request.ulimits:
        from pierhead.client.json_fast import dumps

        query["ulimits"] = dumps(
            [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in request.ulimits]
        )
    return {key: value for key, value in query.items() if value not in (None, "", [], {})}


def build(
    cli: Cli, options: Options, request: Request, located: Located, *, quiet: bool
) -> int | None:
    """POST /build. Raises ``CliError``."""
    if flag := unsupported(request):
        raise CliError(
            f"ERROR: the daemon is a Docker without Pierhead's builder, and {flag} needs more "
            "than its classic builder: use pierd, or docker buildx build"
        )
    query = query_of(request, options, quiet=quiet)
    body = _context(request, located, query)
    from pierhead.cli.format.progress import show

    headers = {"X-Registry-Config": registry_config(cli)}
    response = cli.client.request("POST", "/build", query, body, headers)
    identifier = ""

    def on_aux(aux: dict[str, Any]) -> None:
        nonlocal identifier
        identifier = str(aux.get("ID") or identifier)

    if quiet:
        for message in response.objects():
            if message.get("error"):
                raise CliError(str(message["error"]))
            if message.get("aux"):
                on_aux(message["aux"])
            elif str(message.get("stream") or "").strip():
                identifier = str(message["stream"]).strip()
        cli.out(identifier + "\n")
    else:
        show(cli, response.objects(), on_aux=on_aux)
    if path := options.string("iidfile"):
        from pierhead.cli.build.outcome import replace_file

        replace_file(path, identifier.encode())
    return None


def _context(request: Request, located: Located, query: dict[str, Any]) -> Any:
    """The body, and what it needs in the query."""
    if is_remote(request.context):
        query["remote"] = request.context
        if request.dockerfile:
            query["dockerfile"] = request.dockerfile
        return b""
    if located.stdin_tar:
        if request.dockerfile:
            query["dockerfile"] = request.dockerfile
        return stdin_blocks(located.head)
    if request.context == "-":
        from binascii import a2b_base64

        return _single(a2b_base64(located.fields["dockerfile_text"]))
    return _directory(request, query)


def _member(name: str, data: bytes) -> bytes:
    import tarfile

    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    padding = -len(data) % 512
    return member.tobuf(tarfile.PAX_FORMAT) + data + b"\0" * padding


def _single(text: bytes) -> Iterator[bytes]:
    yield _member("Dockerfile", text)
    yield b"\0" * 1024


def _directory(request: Request, query: dict[str, Any]) -> Iterator[bytes]:
    """The directory's tar; a Dockerfile from elsewhere comes along under a made-up name."""
    root = absolute(request.context)
    text = request.dockerfile_text
    extra: bytes = b""
    name = request.dockerfile or "Dockerfile"
    if text is None:
        path = absolute(request.dockerfile) if request.dockerfile else f"{root}/Dockerfile"
        if path.startswith(root.rstrip("/") + "/"):
            name = path[len(root.rstrip("/")) + 1 :]
        else:
            text = _read(path)
    if text is not None:
        import binascii

        name = f".dockerfile.{binascii.hexlify(posix.urandom(10)).decode()}"
        extra = _member(name, text)
    query["dockerfile"] = name
    return _tar(root, name, extra)


def _tar(root: str, dockerfile: str, extra: bytes) -> Iterator[bytes]:
    import os
    import tarfile

    from pierhead.cli.build.walk import walk
    from pierhead.cli.container.pack import content_of, member_of

    links: dict[tuple[int, int], str] = {}
    for entry in walk(root, exclude=_ignored(root, dockerfile)):
        path = f"{root}/{entry[0]}"
        member = member_of(path, entry[0], os.lstat(path), links)
        member.uid = member.gid = 0
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if member.isreg() and member.size:
            yield from content_of(path, member.size)
    if extra:
        yield extra
    yield b"\0" * 1024


def _ignored(root: str, dockerfile: str) -> list[str]:
    """What .dockerignore leaves out; the Dockerfile itself always goes along."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        try:
            data = read_file(f"{root}/{name}", 1 << 20)
        except OSError:
            continue
        from pierhead.build.dockerfile.ignore import read

        return [*read(data), f"!{dockerfile}", f"!{name}"]
    return []


def _read(path: str) -> bytes:
    try:
        return read_file(path, 64 << 20)
    except OSError as error:
        raise CliError(
            f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
            f"{error_text(error)}"
        ) from None


def registry_config(cli: Cli) -> str:
    """``X-Registry-Config``: every registry's credentials, base64url of JSON."""
    from pierhead.cli.registry import credentials

    found = {}
    servers = [*(cli.config.get("auths") or {}), *(cli.config.get("credHelpers") or {})]
    for server in servers:
        entry = credentials.get(cli, server)
        if entry:
            found[server] = entry
    return credentials.encoded(found)  # type: ignore[arg-type]
