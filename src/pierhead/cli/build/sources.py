"""Where a build's files are: directories, stdin, URLs, and the Dockerfile among them."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.paths import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.build.request import Request

#: As long as the longest thing that tells an archive from a Dockerfile.
HEAD_BYTES = 512
_MAGIC = (b"BZh", b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_GIT_HOSTS = ("github.com/", "git@")
_LAYOUT = "oci-layout://"
_FAILED = "ERROR: failed to build: "


class Located:
    """What ``request.options`` is given, and what the daemon may ask for by name."""

    __slots__ = ("directories", "fields", "head", "stdin_tar")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        #: Name of a local source -> directory
        self.directories: dict[str, str] = {}
        #: The context is an archive on stdin, of which ``head`` has been read.
        self.stdin_tar = False
        self.head = b""


def is_remote(text: str) -> bool:
    """Whether a context is a URL or a git repository."""
    return is_git(text) or text.startswith(("http://", "https://"))


def is_git(text: str) -> bool:
    """Whether a context is a git repository, by the rules of docker and BuildKit."""
    if text.startswith(("git://", "ssh://", *_GIT_HOSTS)):
        return True
    if text.startswith(("http://", "https://")):
        rest = text.partition("?")[0].partition("#")[0]
        return rest.endswith(".git") or (text.startswith("https://github.com/") and ".git" in text)
    head, colon, path = text.partition(":")
    return bool(colon) and "@" in head and "/" not in head and not path.startswith("/")


def is_archive(head: bytes) -> bool:
    """Whether data that begins so is a tar, plain or compressed."""
    if head.startswith(_MAGIC):
        return True
    if len(head) < HEAD_BYTES:
        return False
    try:
        stored = int(head[148:156].split(b"\0")[0].strip() or b"-1", 8)
    except ValueError:
        return False
    return stored == sum(head[:148]) + 8 * 32 + sum(head[156:512])


def locate(request: Request) -> Located:
    """Find context, Dockerfile and named contexts. Raises ``CliError``, reads stdin for ``-``."""
    found = Located()
    dockerfile = request.dockerfile
    if request.context == "-" and dockerfile == "-":
        raise CliError(
            _FAILED + "invalid argument: can't use stdin for both build context and dockerfile"
        )
    if request.context == "-":
        _from_stdin(found, dockerfile)
    elif is_remote(request.context):
        found.fields["context"] = request.context
        if dockerfile and dockerfile != "-":
            found.fields["dockerfile"] = dockerfile
    else:
        _directory(found, request.context, dockerfile)
    if dockerfile == "-":
        request.dockerfile_text = _read_stdin()
    if request.dockerfile_text is not None:
        from binascii import b2a_base64

        text = b2a_base64(request.dockerfile_text, newline=False).decode()
        found.fields["dockerfile_text"] = text
        found.fields.pop("dockerfile", None)
        found.fields.pop("dockerfile_source", None)
    _named(found, request.contexts)
    return found


def _directory(found: Located, context: str, dockerfile: str) -> None:
    root = context.rstrip("/") or "/"
    try:
        mode = posix.stat(root).st_mode
    except OSError:
        raise CliError(f'{_FAILED}unable to prepare context: path "{context}" not found') from None
    if mode & 0o170000 != 0o040000:
        raise CliError(f"{_FAILED}unable to prepare context: path {context!r} must be a directory")
    found.fields["context"] = "context"
    found.directories["context"] = absolute(root)
    found.fields["context_name"] = found.directories["context"]
    if dockerfile == "-":
        return
    if dockerfile and is_remote(dockerfile):
        raise CliError(f"{_FAILED}a Dockerfile by URL is not supported: fetch it, then use -f")
    path = absolute(dockerfile) if dockerfile else found.directories["context"] + "/Dockerfile"
    directory, _, name = path.rpartition("/")
    if not dockerfile and not _exists(path) and _exists(f"{directory}/dockerfile"):
        name = "dockerfile"
    inside = found.directories["context"].rstrip("/") + "/"
    if path.startswith(inside) and not _has_link(inside, directory + "/"):
        found.fields["dockerfile"] = f"{directory}/{name}"[len(inside) :]
    else:
        found.fields["dockerfile"] = name
        found.fields["dockerfile_source"] = "dockerfile"
        found.directories["dockerfile"] = directory or "/"


def _has_link(root: str, directory: str) -> bool:
    """Whether a directory on the way from ``root`` to ``directory`` is a symlink."""
    at = len(root)
    while (slash := directory.find("/", at)) >= 0:
        try:
            if posix.lstat(directory[:slash]).st_mode & 0o170000 == 0o120000:
                return True
        except OSError:
            return False
        at = slash + 1
    return False


def _from_stdin(found: Located, dockerfile: str) -> None:
    head = b""
    while len(head) < HEAD_BYTES and (data := posix.read(0, HEAD_BYTES - len(head))):
        head += data
    if not head:
        raise CliError(f"{_FAILED}failed to peek context header from STDIN: EOF")
    if is_archive(head):
        found.stdin_tar = True
        found.head = head
        found.fields["context"] = "context"
        found.fields["context_tar"] = True
        if dockerfile:
            found.fields["dockerfile"] = dockerfile
        return
    if dockerfile:
        raise CliError(
            f"{_FAILED}ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"
        )
    from binascii import b2a_base64

    found.fields["context"] = ""
    text = b2a_base64(head + _read_stdin(), newline=False).decode()
    found.fields["dockerfile_text"] = text


def _read_stdin() -> bytes:
    parts: list[bytes] = []
    while data := posix.read(0, 1 << 16):
        parts.append(data)
    return b"".join(parts)


def _named(found: Located, contexts: dict[str, str]) -> None:
    """Named contexts: directories become local sources, everything else goes as it is."""
    named: dict[str, str] = {}
    for name, value in contexts.items():
        if is_remote(value) or value.startswith(("docker-image://", "target:", "solved://")):
            named[name] = value
            continue
        if value.startswith(_LAYOUT):
            place, rest = layout_parts(value)
            named[name] = _LAYOUT + place + rest
            found.directories[f"oci-layout:{place}"] = place
            continue
        try:
            mode = posix.stat(value).st_mode
        except OSError as error:
            raise CliError(
                f"{_FAILED}failed to find local context {name}: stat {value}: "
                f"{(error.strerror or '').lower()}"
            ) from None
        if mode & 0o170000 != 0o040000:
            raise CliError(f"{_FAILED}failed to find local context {name}: not a directory")
        source = name if name not in ("context", "dockerfile") else f"named:{name}"
        named[name] = f"local:{source}"
        found.directories[source] = absolute(value)
    if named:
        found.fields["named_contexts"] = named


def layout_parts(value: str) -> tuple[str, str]:
    """``oci-layout://dir:tag@digest``: the directory from the root on, and what follows it."""
    place, at, digest = value[len(_LAYOUT) :].partition("@")
    before, colon, tag = place.rpartition(":")
    if colon and "/" not in tag:
        return absolute(before), f":{tag}{at}{digest}"
    return absolute(place), at + digest


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
