"""``pier save``: write images as a tar archive."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.image.platform import checked_platform
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli
    from pierhead.client.http import Response


def save(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /images/get; a file appears under its name only when it is complete."""
    output = options.string("output")
    if not output and posix.isatty(1):
        raise CliError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if output:
        _check_directory(output)
    query = {
        "names": args,
        "platform": [
            checked_platform(cli, text, "1.48", prefix="invalid platform: ")
            for text in options.strings("platform")
        ]
        or None,
    }
    response = cli.client.request("GET", "/images/get", query)
    if output:
        _to_file(response, output)
        return
    for data in response.chunks():
        cli.out_bytes(data)


def _check_directory(output: str) -> None:
    directory = output.rpartition("/")[0] or ("/" if output.startswith("/") else ".")
    try:
        posix.stat(directory)
    except OSError:
        raise CliError(
            f"failed to save image: invalid output path: stat {directory}: "
            "no such file or directory"
        ) from None


def _to_file(response: Response, output: str) -> None:
    temporary = f"{output}.{posix.getpid()}.part"
    try:
        fd = posix.open(temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o600)
    except OSError as error:
        raise CliError(f"failed to save image: open {output}: {_reason(error)}") from error
    done = False
    try:
        for data in response.chunks():
            write_all(fd, data)
        posix.replace(temporary, output)
        done = True
    except OSError as error:
        raise CliError(f"failed to save image: {output}: {_reason(error)}") from error
    finally:
        posix.close(fd)
        if not done:
            posix.unlink(temporary)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


SAVE = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    save,
    (
        ("output", "o", "string", "", "Write to this file instead of stdout"),
        ("platform", "", "stringSlice", None, "Save only these platforms, os[/arch[/variant]]"),
    ),
    args=(1, None),
)
