"""A session with a container or an exec: terminal, signals, streams, the exit code.

``attached`` is all of it; ``run``, ``start``, ``attach`` and ``exec`` differ in what they
hand to it.
"""

from __future__ import annotations

from pierhead.cli.errors import CliError, StartFailed
from pierhead.cli.signals import FORWARDED, SIGWINCH, Signals, forward
from pierhead.cli.streams import Detached, poll_two, pump
from pierhead.client.errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.main import Cli
    from pierhead.cli.terminal import DetachKeys, RawMode
    from pierhead.client.http import Client, Pending, Response


def check_tty(attach_stdin: bool, tty: bool) -> None:
    """Refuse ``-it`` where stdin is no terminal."""
    if attach_stdin and tty:
        from pierhead.cli.terminal import is_terminal

        if not is_terminal(0):
            raise CliError("the input device is not a TTY")


def detach_keys(cli: Cli, given: str) -> tuple[str, DetachKeys]:
    """The sequence from the flag, or the config file, and a finder for it."""
    from pierhead.cli.terminal import DetachKeys, parse_detach_keys

    text = given or str(cli.config.get("detachKeys") or "")
    try:
        return text, DetachKeys(parse_detach_keys(text))
    except ValueError as error:
        raise CliError(f"invalid detach keys ({text}): {error}") from None


def resize(client: Client, path: str, *, first: bool = False, extra: int = 0) -> None:
    """Tell the daemon the size of our terminal. ``path`` ends in ``/resize``.

    Right after the start the container's terminal may not be there yet: with ``first``
    it is tried again a few times. Any other failure does not matter.
    """
    from pierhead.cli.terminal import size

    rows, columns = size(1)
    if not rows and not columns:
        return
    for attempt in range(5 if first else 1):
        try:
            query = {"h": rows + extra, "w": columns + extra}
            client.request("POST", path, query).close()
            return
        except ClientError:
            if first and attempt < 4:
                import time

                time.sleep(0.01 * (attempt + 1))


class SignalWork:
    """What to do with signals during a session: window size, passing on."""

    __slots__ = ("client", "container", "proxy", "resize_path", "signals")

    def __init__(
        self, client: Client, container: str, *, proxy: bool, resize_path: str | None
    ) -> None:
        self.client = client
        self.container = container
        self.proxy = proxy
        self.resize_path = resize_path
        numbers: list[int] = list(FORWARDED) if proxy else []
        if resize_path:
            numbers.append(SIGWINCH)
        self.signals = Signals(numbers)

    def on_signal(self, number: int) -> None:
        """Handle one signal."""
        if number == SIGWINCH:
            if self.resize_path:
                resize(self.client, self.resize_path)
        elif self.proxy:
            forward(self.client, self.container, number)


def start_attached(
    cli: Cli,
    container: str,
    attaching: Pending,
    *,
    stdin: bool,
    tty: bool,
    keys: DetachKeys | None,
    work: SignalWork | None,
    removed: bool,
    stdout: bool = True,
    stderr: bool = True,
) -> int:
    """Start the container whose attach request has been sent; its exit code.

    The wait goes out before the start, so that no exit is missed. ``removed``: the
    container goes with its end, which is waited for as well.
    """
    waiting = cli.client.begin(
        "POST",
        f"/containers/{container}/wait",
        {"condition": "removed" if removed else "next-exit"},
    )
    return attached(
        cli,
        attaching,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        tty=tty,
        keys=keys if tty else None,
        work=work,
        waiting=waiting,
        start=f"/containers/{container}/start",
        quiet_detach=True,
        removed=removed,
    )


def attached(
    cli: Cli,
    attaching: Pending,
    *,
    stdin: bool,
    tty: bool,
    stdout: bool = True,
    stderr: bool = True,
    keys: DetachKeys | None = None,
    work: SignalWork | None = None,
    resize_path: str | None = None,
    waiting: Pending | None = None,
    start: str | None = None,
    nudge: bool = False,
    quiet_detach: bool = False,
    removed: bool = False,
) -> int:
    """Run the session whose attach request has been sent. Returns the exit code.

    ``waiting`` is the wait request, sent too; without it 0 is returned. ``start`` is the
    path that starts the container once both are answered; its failure is raised as
    ``StartFailed`` (after the removal, if the container is to be ``removed``).
    ``nudge`` makes the terminal's size change once, so that a program redraws.
    The terminal is restored whatever happens.
    """
    client = cli.client
    if work is None and resize_path is not None:
        work = SignalWork(client, "", proxy=False, resize_path=resize_path)
    elif work is not None:
        resize_path = work.resize_path
    raw: RawMode | None = None
    try:
        stream = attaching.hijacked()
        exit_response: Response | None = None
        if waiting is not None:
            exit_response = waiting.response()
        if tty and stdin:
            from pierhead.cli.terminal import RawMode

            raw = RawMode(0)
            raw.enter()
        if start is not None:
            try:
                client.request("POST", start).close()
            except ClientError as error:
                stream.close()
                if raw is not None:
                    raw.restore()
                if removed and exit_response is not None:
                    wait_status(exit_response, work)
                raise StartFailed(str(error)) from None
        if resize_path is not None:
            if nudge:
                resize(client, resize_path, extra=1)
            resize(client, resize_path, first=not nudge)
        try:
            pump(
                stream,
                stdin=0 if stdin else None,
                stdout=1 if stdout else None,
                stderr=2 if stderr else None,
                tty=tty,
                detach=keys,
                signals=work.signals if work is not None else None,
                on_signal=work.on_signal if work is not None else None,
            )
        except Detached:
            if quiet_detach:
                return 0
            if raw is not None:
                raw.restore()
            raise CliError("read escape sequence") from None
    finally:
        if raw is not None:
            raw.restore()
    return 0 if exit_response is None else wait_status(exit_response, work)


def wait_status(response: Response, work: SignalWork | None = None) -> int:
    """Read the answer of ``wait``, handling signals meanwhile. Returns the exit code."""
    if work is not None:
        while response.fileno() >= 0 and not response.has_data():
            ready, signalled = poll_two(response.fileno(), work.signals.fileno())
            if signalled:
                for number in work.signals.read():
                    work.on_signal(number)
            if ready:
                break
    problem: object
    try:
        result = response.json()
        problem = (result.get("Error") or {}).get("Message")
    except ClientError as error:
        problem = error
    if problem:
        import posix

        posix.write(2, f"Error waiting for container: {problem}\n".encode())
        return 125
    return int(result["StatusCode"])
