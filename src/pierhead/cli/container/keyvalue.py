"""Files of ``NAME=value`` lines: ``--env-file`` and ``--label-file``."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def read_file(path: str) -> bytes:
    """The whole file. Raises ``ValueError`` in Go's words."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            data = b""
            while part := posix.read(fd, 1 << 20):
                data += part
            return data
        finally:
            posix.close(fd)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if isinstance(error, IsADirectoryError):
            raise ValueError(f"invalid env file ({path}): read {path}: {reason}") from None
        raise ValueError(f"open {path}: {reason}") from None


def read_pairs(path: str, *, lookup: bool) -> list[str]:
    """The lines of the file. A name alone takes its value from our environment, or falls
    away, if ``lookup``; otherwise it stays. Raises ``ValueError``."""
    lines: list[str] = []
    raw_lines = read_file(path).split(b"\n")
    for number, raw in enumerate(raw_lines):
        raw = raw.removesuffix(b"\r")
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            raise ValueError(
                f"invalid env file ({path}): invalid utf8 bytes at line {number + 1}: "
                f"[{' '.join(str(byte) for byte in raw)}]"
            ) from None
        if number == 0:
            line = line.removeprefix("\ufeff")
        line = line.lstrip()
        if not line or line[0] == "#":
            continue
        name, equals, _ = line.partition("=")
        if not name:
            raise ValueError(f"invalid env file ({path}): no variable name on line '{line}'")
        if any(char.isspace() for char in name):
            raise ValueError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
        if equals or not lookup:
            lines.append(line)
            continue
        value = posix.environ.get(name.encode("utf-8", "surrogateescape"))
        if value is not None:
            lines.append(f"{name}={value.decode('utf-8', 'surrogateescape')}")
    return lines


def environment(files: Sequence[str], values: Sequence[str]) -> list[str]:
    """``--env-file`` lines, then ``-e`` values."""
    lines: list[str] = []
    for path in files:
        lines += read_pairs(path, lookup=True)
    return lines + list(values)


def labels(files: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """``--label-file`` lines, then ``--label`` values; the last one wins."""
    lines: list[str] = []
    for path in files:
        lines += read_pairs(path, lookup=False)
    return to_map([*lines, *values])


def to_map(pairs: Sequence[str]) -> dict[str, str]:
    """``key=value`` strings as a dict."""
    result: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        result[key] = value
    return result
