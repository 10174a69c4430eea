"""What a finished build leaves behind on this side: id and metadata files, the printed id."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def image_id(result: dict[str, Any]) -> str:
    """What ``--iidfile`` and ``-q`` have: the image's id, or the index's digest."""
    metadata = result.get("metadata") or {}
    for key in ("containerimage.config.digest", "containerimage.digest"):
        value = metadata.get(key)
        if isinstance(value, str) and value:
            return value
    images = result.get("images") or []
    if len(images) == 1:
        return str(images[0].get("id") or "")
    return str(result.get("digest") or "")


def metadata_of(result: dict[str, Any], warnings: list[dict[str, Any]]) -> dict[str, Any]:
    """The object of ``--metadata-file``; findings go in on ``BUILDX_METADATA_WARNINGS``."""
    metadata = dict(result.get("metadata") or {})
    if result.get("ref") and "buildx.build.ref" not in metadata:
        metadata["buildx.build.ref"] = result["ref"]
    if warnings:
        metadata["buildx.build.warnings"] = warnings
    return metadata


def write_metadata(path: str, value: object) -> None:
    """JSON with an indent of two, keys sorted; the file appears when it is complete."""
    from pierhead.cli.gotemplate.json_text import indent
    from pierhead.client.json_fast import dumps

    replace_file(path, indent(dumps(in_order(value)), "  ").encode())


def in_order(value: object) -> object:
    """Objects with their keys sorted, all the way down, as Go writes maps."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [in_order(item) for item in value]
    return value


def replace_file(path: str, data: bytes) -> None:
    """Write a file as a whole or not at all. Raises ``CliError``."""
    temporary = f"{path}.{posix.getpid()}.tmp"
    try:
        special = posix.stat(path).st_mode & 0o170000 != 0o100000
    except OSError:
        special = False
    try:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC
        fd = posix.open(path if special else temporary, flags | posix.O_TRUNC, 0o644)
        try:
            write_all(fd, data)
        finally:
            posix.close(fd)
        if not special:
            posix.rename(temporary, path)
    except OSError as error:
        raise CliError(f"ERROR: open {path}: {(error.strerror or '').lower()}") from None


def remove_stale(path: str) -> None:
    """No old id may stay if the build fails. Raises ``CliError``."""
    try:
        posix.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise CliError(
            f"ERROR: removing image ID file: remove {path}: {(error.strerror or '').lower()}"
        ) from None
