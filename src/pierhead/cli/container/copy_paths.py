"""The rules of ``docker cp`` for paths: what is copied, where to, under which name.

Pure: existence and kinds come in as arguments, so the table of cases can be tested.
A trailing ``/`` asserts a directory; a trailing ``/.`` means its content.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: Go's os.FileMode bits that the daemon's path stat carries
MODE_DIR = 1 << 31
MODE_SYMLINK = 1 << 27
MODE_DEVICE = 1 << 26
MODE_IRREGULAR = 1 << 19


class CopyPathError(Exception):
    """The two paths don't go together; the text is Docker's."""


class Place:
    """One end of a copy."""

    __slots__ = ("exists", "is_dir", "path", "rebase")

    def __init__(
        self, path: str, *, exists: bool = False, is_dir: bool = False, rebase: str = ""
    ) -> None:
        self.path = path
        self.exists = exists
        self.is_dir = is_dir
        #: The name that the entries get instead of the path's own last part
        self.rebase = rebase


def split_argument(text: str) -> tuple[str, str]:
    """``container:path`` as (container, path); a local path has no container."""
    if text.startswith("/"):
        return "", text
    container, colon, path = text.partition(":")
    if not colon or container.startswith("."):
        return "", text
    return container, path


def clean(path: str) -> str:
    """Go's ``filepath.Clean``."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts and parts[-1] != "..":
                parts.pop()
            elif not rooted:
                parts.append(part)
        elif part not in ("", "."):
            parts.append(part)
    joined = "/".join(parts)
    return f"/{joined}" if rooted else joined or "."


def ends_with_dot(path: str) -> bool:
    """Whether the path names the content of a directory (``x/.``)."""
    return path.rpartition("/")[2] == "."


def keep_ending(cleaned: str, original: str) -> str:
    """Put back the ``/`` or ``/.`` that cleaning took away."""
    if not ends_with_dot(cleaned) and ends_with_dot(original):
        cleaned += "." if cleaned.endswith("/") else "/."
    elif not cleaned.endswith("/") and original.endswith("/"):
        cleaned += "/"
    return cleaned


def split_entry(path: str) -> tuple[str, str]:
    """(directory with its slash, entry), keeping ``.`` as an entry."""
    cleaned = clean(path)
    if ends_with_dot(path):
        cleaned += "/."
    directory, slash, entry = cleaned.rpartition("/")
    return directory + slash, entry


def asserts_directory(path: str) -> bool:
    """Whether the path can only be a directory."""
    return path.endswith("/") or ends_with_dot(path)


def rebase_name(path: str, resolved: str) -> tuple[str, str]:
    """After following links: (path to read, name to write), keeping what the user wrote."""
    name = ""
    if ends_with_dot(path) and not ends_with_dot(resolved):
        resolved += "/."
    if path.endswith("/") and not resolved.endswith("/"):
        resolved += "/"
    if clean(path).rpartition("/")[2] != clean(resolved).rpartition("/")[2]:
        # A path that ends in a separator or a dot was a name for a directory's content.
        name = clean(path).rpartition("/")[2]
    return resolved, name


def plan(source: Place, target: Place) -> tuple[str, tuple[str, str] | None]:
    """(directory to extract into, (old first part of names, new one) or None).

    Raises ``CopyPathError`` where the copy can't be.
    """
    directory, target_base = split_entry(target.path)
    source_base = source.rebase or split_entry(source.path)[1]
    if target.exists and target.is_dir:
        return target.path, None
    if target.exists and source.is_dir:
        raise CopyPathError("cannot copy directory")
    if not target.exists and not source.is_dir and asserts_directory(target.path):
        raise CopyPathError("no such directory")
    return directory, (source_base, target_base)


def renamer(change: tuple[str, str] | None) -> Callable[[str], str]:
    """The function that renames archive entries for ``plan``'s second answer."""
    if change is None:
        return lambda name: name
    old, new = change
    if old == "/":
        old = ""

    def rename(name: str) -> str:
        return name.replace(old, new, 1)

    return rename


def mode_problem(mode: int) -> str:
    """Why nothing can be copied onto a path of this kind; '' if it can."""
    if mode & MODE_DEVICE:
        return "got a device"
    if mode & MODE_IRREGULAR:
        return "got an irregular file"
    return ""
