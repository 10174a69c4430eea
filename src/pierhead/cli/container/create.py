"""``pier create``, and the making of a container that ``run`` shares: image, id file, warnings."""

from __future__ import annotations

import posix

from pierhead.cli.container.options import CREATE_FLAGS
from pierhead.cli.endpoint import proxies
from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.main import getenv
from pierhead.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def with_help(message: str, name: str, code: int) -> CliError:
    """The docker CLI's way to end ``run`` and ``create``: the error and where help is."""
    return CliError(f"pier: {message}\n\nRun 'pier {name} --help' for more information", code)


def check_pull(options: Options, name: str) -> None:
    """Refuse an unknown ``--pull``."""
    value = options.string("pull")
    if value not in ("always", "missing", "never", ""):
        raise with_help(
            f'invalid pull option: \'{value}\': must be one of "always", "missing" or "never"',
            name,
            125,
        )


_WINDOWS = ("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops")


def check_windows(options: Options) -> None:
    """Refuse flags that only mean something to a daemon on Windows."""
    problems = [
        f'"--{flag}" is only supported on a Docker daemon running on windows, '
        "but the Docker daemon is running on linux"
        for flag in _WINDOWS
        if flag in options.changed_names
    ]
    if problems:
        raise CliError("\n".join(problems))


def apply_proxies(cli: Cli, options: Options) -> None:
    """Put the proxies of ``config.json`` before the environment that was asked for."""
    given = {item.partition("=")[0] for item in options.strings("env")}
    extra = [f"{name}={value}" for name, value in proxies(cli).items() if name not in given]
    if extra:
        options.values["env"] = extra + options.strings("env")
        options.changed_names["env"] = None


class CidFile:
    """The file for the container's id: made before, removed again if nothing came of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.written = False
        if not path:
            return
        try:
            fd = posix.open(
                path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, 0o666
            )
        except FileExistsError:
            raise CliError(
                "container ID file found, make sure the other container isn't running "
                f"or delete {path}"
            ) from None
        except OSError as error:
            raise CliError(
                "failed to create the container ID file: "
                f"open {path}: {(error.strerror or '').lower()}"
            ) from None
        posix.close(fd)

    def write(self, container_id: str) -> None:
        """Write the id."""
        if not self.path:
            return
        try:
            fd = posix.open(self.path, posix.O_WRONLY | posix.O_TRUNC | posix.O_CLOEXEC)
            try:
                posix.write(fd, container_id.encode())
            finally:
                posix.close(fd)
        except OSError as error:
            raise CliError(
                f"failed to write the container ID ({container_id}) to file: {error.strerror}"
            ) from None
        self.written = True

    def close(self) -> None:
        """Remove an empty file."""
        if self.path and not self.written:
            try:
                posix.unlink(self.path)
            except OSError:
                pass


def create_container(cli: Cli, options: Options, body: dict[str, Any]) -> str:
    """Make the container, pulling its image if it is missing. Returns the id.

    Raises ``CliError`` and the client's errors.
    """
    pull = options.string("pull")
    image = body["Image"]
    query: dict[str, Any] = {"name": options.string("name") or None}
    platform = _platform(cli, options, query)
    if options.flag("use-api-socket"):
        _use_api_socket(cli, body)
    cid_file = CidFile(options.string("cidfile"))
    try:
        if pull == "always":
            _pull(cli, options, image, platform)
        try:
            answer = cli.client.post("/containers/create", query, body)
        except ApiError as error:
            if error.status == 400 and error.message.startswith("invalid reference format"):
                raise CliError(error.message) from None
            if (
                error.status != 404
                or "no such image" not in error.message.lower()
                or pull != "missing"
            ):
                raise
            if not _pull(cli, options, image, platform, missing=True):
                raise
            answer = cli.client.post("/containers/create", query, body)
        container_id = str(answer["Id"])
        warnings = list(answer.get("Warnings") or ())
        for server in body["HostConfig"].get("Dns", ()):
            if server.startswith("127.") or server == "::1":
                warnings.append(f"Localhost DNS ({server}) may fail in containers.")
                break
        for warning in warnings:
            cli.err(f"WARNING: {warning}\n")
        cid_file.write(container_id)
        return container_id
    finally:
        cid_file.close()


def _platform(cli: Cli, options: Options, query: dict[str, Any]) -> str:
    """The platform that was asked for, which goes into ``query`` in its normal form."""
    platform = options.string("platform") or getenv("DOCKER_DEFAULT_PLATFORM")
    if platform:
        from pierhead.cli.image.platform import platform_text

        try:
            query["platform"] = platform_text(platform)
        except CliError as error:
            raise CliError(f"error parsing specified platform: {error.message}") from None
    if options.changed("disable-content-trust") or getenv("DOCKER_CONTENT_TRUST"):
        from pierhead.cli.requires import refuse_trust

        refuse_trust(options)
    return platform


def _pull(cli: Cli, options: Options, image: str, platform: str, *, missing: bool = False) -> bool:
    """Pull the image; False if its name is an id, which can't be pulled.

    ``missing`` says why. Raises ``CliError``.
    """
    from pierhead.cli.container.pull import named, pull_image

    quiet = options.flag("quiet")
    try:
        reference = named(image)
    except ValueError as error:
        raise CliError(str(error)) from None
    if reference is None:
        return False
    if missing and not quiet:
        cli.err(f"Unable to find image '{reference.familiar()}' locally\n")
    pull_image(cli, reference, platform=platform, quiet=quiet)
    return True


def _use_api_socket(cli: Cli, body: dict[str, Any]) -> None:
    if not cli.client.host.startswith("unix://"):
        raise CliError("--use-api-socket needs a daemon on a unix socket")
    mounts = body["HostConfig"].setdefault("Mounts", [])
    mounts.append(
        {
            "Type": "bind",
            "Source": cli.client.host[7:],
            "Target": "/var/run/docker.sock",
            "BindOptions": {},
        }
    )


def create(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /containers/create."""
    from pierhead.cli.container.spec import build

    check_windows(options)
    check_pull(options, "create")
    apply_proxies(cli, options)
    try:
        body = build(options, args[0], args[1:])
    except CliError as error:
        raise with_help(error.message, "create", 125) from None
    cli.out(create_container(cli, options, body) + "\n")


CREATE = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    create,
    CREATE_FLAGS,
    args=(1, None),
    interspersed=False,
)
