"""``pier cp``: files between a container and this machine, in both directions."""

from __future__ import annotations

import posix

from pierhead.cli.container.copy_paths import (
    MODE_DIR,
    MODE_SYMLINK,
    CopyPathError,
    Place,
    keep_ending,
    mode_problem,
    plan,
    rebase_name,
    renamer,
    split_argument,
    split_entry,
)
from pierhead.cli.container.names import container_path
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.client.errors import ApiError, ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def cp(cli: Cli, options: Options, args: list[str]) -> None:
    """Find out the direction and copy."""
    if not args[0]:
        raise CliError("source can not be empty")
    if not args[1]:
        raise CliError("destination can not be empty")
    source_container, source = split_argument(args[0])
    target_container, target = split_argument(args[1])
    if source_container and target_container:
        raise CliError("copying between containers is not supported")
    if not source_container and not target_container:
        raise CliError("must specify at least one container source")
    from pierhead.cli.terminal import is_terminal

    quiet = options.flag("quiet") if options.changed("quiet") else not is_terminal(1)
    try:
        if source_container:
            done = _from_container(cli, options, source_container, source, target)
        else:
            done = _to_container(cli, options, source, target_container, target)
    except CopyPathError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        if not isinstance(error, ClientError) and error.filename is not None:
            reason = (error.strerror or "").lower()
            raise CliError(f"{error.filename}: {reason}") from None
        raise
    if done is not None and not quiet:
        from pierhead.cli.format.units import human_size

        size, where = done
        cli.err(f"Successfully copied {human_size(size, 3)} to {where}\n")


def _stat(cli: Cli, container: str, path: str) -> dict[str, Any]:
    """What is at ``path`` in the container: name, size, mode (Go's), mtime, linkTarget."""
    response = cli.client.request("HEAD", container_path(container, "archive"), {"path": path})
    return _decode_stat(response.headers.get("x-docker-container-path-stat", ""))


def _decode_stat(header: str) -> dict[str, Any]:
    from binascii import Error, a2b_base64

    from pierhead.client.json_fast import loads

    try:
        value = loads(a2b_base64(header).decode())
    except (ValueError, Error) as error:
        raise CliError(f"unable to decode container path stat header: {error}") from None
    assert isinstance(value, dict)
    return value


def _local(path: str) -> str:
    """Absolute, cleaned, with the ending that the user wrote."""
    from pierhead.cli.paths import absolute

    return keep_ending(absolute(path), path)


def _from_container(
    cli: Cli, options: Options, container: str, source: str, target: str
) -> tuple[int, str] | None:
    if target != "-":
        target = _local(target)
        _check_target(target)
    rebase = ""
    if options.flag("follow-link"):
        try:
            found = _stat(cli, container, source)
        except ApiError:
            found = {"mode": 0}
        if found["mode"] & MODE_SYMLINK:
            link = found["linkTarget"]
            if not link.startswith("/"):
                link = split_entry(source)[0] + link
            source, rebase = rebase_name(source, link)
    response = cli.client.request("GET", container_path(container, "archive"), {"path": source})
    if target == "-":
        for data in response.chunks():
            cli.out_bytes(data)
        return None
    found = _decode_stat(response.headers.get("x-docker-container-path-stat", ""))
    from pierhead.cli.container.unpack import Stream, UnpackError, extract

    place = Place(source, exists=True, is_dir=bool(found["mode"] & MODE_DIR), rebase=rebase)
    directory, change = plan(place, _local_target(target))
    rename = renamer(change)
    if rebase:
        first = renamer((split_entry(source)[1], rebase))
        second = rename

        def rename(name: str) -> str:
            return second(first(name))

    stream = Stream(response.chunks())
    try:
        extract(stream, directory, rename)
    except UnpackError as error:
        response.close()
        raise CliError(str(error)) from None
    return stream.count, target


def _check_target(path: str) -> None:
    from pierhead.cli.container.copy_paths import clean
    from pierhead.cli.flags import go_quote

    directory = clean(path).rpartition("/")[0] or "/"
    try:
        posix.stat(directory)
    except FileNotFoundError:
        raise CliError(
            f"invalid output path: directory {go_quote(directory)} does not exist"
        ) from None
    try:
        mode = posix.stat(path).st_mode & 0o170000
    except OSError:
        return
    if mode not in (0o040000, 0o100000):
        problem = "got a device" if mode in (0o020000, 0o060000) else "got an irregular file"
        raise CliError(
            f"invalid output path: {go_quote(path)} must be a directory or a regular file: "
            f"{problem}"
        )


def _local_target(path: str) -> Place:
    """The local end of a copy; links at the end of the path are followed."""
    for _ in range(10):
        try:
            info = posix.lstat(path)
        except FileNotFoundError:
            parent = split_entry(path)[0] or "."
            if posix.stat(parent).st_mode & 0o170000 != 0o040000:
                raise CopyPathError("not a directory") from None
            return Place(path)
        except NotADirectoryError:
            raise CopyPathError("not a directory") from None
        kind = info.st_mode & 0o170000
        if kind != 0o120000:
            return Place(path, exists=True, is_dir=kind == 0o040000)
        link = posix.readlink(path)
        path = link if link.startswith("/") else split_entry(path)[0] + link
    raise CopyPathError("too many symlinks")


def _resolve_source(path: str, follow: bool) -> Place:
    """The local source: links in its directory, and with ``follow`` at its end, resolved."""
    import os.path

    try:
        if follow:
            resolved = os.path.realpath(path, strict=True)
            resolved, rebase = rebase_name(path, resolved)
        else:
            directory, _, base = path.rpartition("/")
            resolved = f"{os.path.realpath(directory or '/', strict=True).rstrip('/')}/{base}"
            rebase = ""
            name = os.path.basename(path.rstrip("/"))
            if path.endswith("/") and name != os.path.basename(resolved.rstrip("/")):
                rebase = name
        info = posix.lstat(resolved)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise CliError(f"lstat {error.filename or path}: {reason}") from None
    return Place(resolved, exists=True, is_dir=info.st_mode & 0o170000 == 0o040000, rebase=rebase)


def _to_container(
    cli: Cli, options: Options, source: str, container: str, target: str
) -> tuple[int, str] | None:
    if source != "-":
        source = _local(source)
    place = Place(target or ".")
    mode = 0
    try:
        found = _stat(cli, container, target)
        if found["mode"] & MODE_SYMLINK:
            link = found["linkTarget"]
            place.path = link if link.startswith("/") else split_entry(target)[0] + link
            found = _stat(cli, container, place.path)
        mode = found["mode"]
        place.exists = True
        place.is_dir = bool(mode & MODE_DIR)
    except ApiError:
        # A target that isn't there yet is fine if its parent is; a container that isn't
        # there will be told by the upload itself.
        pass
    problem = mode_problem(mode)
    if problem:
        raise CliError(
            f'destination "{container}:{target}" must be a directory or a regular file: {problem}'
        )
    content: Iterable[bytes]
    if source == "-":
        directory = place.path
        content = _stdin()
        if not place.is_dir:
            raise CliError(f'destination "{container}:{target}" must be a directory')
    else:
        origin = _resolve_source(source, options.flag("follow-link"))
        directory, change = plan(origin, place)
        from pierhead.cli.container.pack import archive

        parent, entry = split_entry(origin.path)
        content = archive(parent, entry, renamer(change), rebase=origin.rebase)
        directory = directory.rstrip("/") or directory
    counter = _Counter(content)
    query = {
        "path": directory,
        "noOverwriteDirNonDir": "true",
        "copyUIDGID": "true" if options.flag("archive") else None,
    }
    cli.client.request("PUT", container_path(container, "archive"), query, counter).read()
    if source == "-":
        return None
    return counter.count, f"{container}:{place.path}"


class _Counter:
    """An iterable that counts its bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for data in self.chunks:
            self.count += len(data)
            yield data


def _stdin() -> Iterator[bytes]:
    while data := posix.read(0, 1 << 18):
        yield data


CP = Command(
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    cp,
    (
        ("archive", "a", "bool", False, "Keep owner and group"),
        ("follow-link", "L", "bool", False, "Follow a link at the end of SRC_PATH"),
        ("quiet", "q", "bool", False, "Don't report; the default where stdout is no terminal"),
    ),
    args=(2, 2),
)
