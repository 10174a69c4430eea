"""A terminal's session with a container: sizes, signals, the wait for its end."""

from __future__ import annotations

import select

from pierhead.cli.errors import CliError
from pierhead.cli.signals import SIGWINCH, Signals, forward
from pierhead.client.errors import ClientError
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pierhead.cli.main import Cli
    from pierhead.cli.terminal import DetachKeys
    from pierhead.client.http import Client, Response


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


def resize(client: Client, path: str, *, first: bool = False) -> None:
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
            client.request("POST", path, {"h": rows, "w": columns}).close()
            return
        except ClientError:
            if first and attempt < 4:
                import time

                time.sleep(0.01 * (attempt + 1))


class SignalWork:
    """What to do with signals during a session: window size, passing on."""

    def __init__(
        self, client: Client, container: str, *, proxy: bool, resize_path: str | None
    ) -> None:
        from pierhead.cli.signals import FORWARDED

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


def container_resize_path(container: str) -> str:
    """Where to send a container's window size."""
    return f"/containers/{quote(container)}/resize"


def wait_status(
    response: Response,
    signals: Signals | None = None,
    on_signal: Callable[[int], None] | None = None,
) -> int:
    """Read the answer of ``wait``, handling signals meanwhile. Returns the exit code."""
    if signals is not None and response.fileno() >= 0 and not response.has_data():
        poll = select.poll()
        poll.register(response.fileno(), select.POLLIN)
        poll.register(signals.fileno(), select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if signals.fileno() in ready:
                for number in signals.read():
                    if on_signal is not None:
                        on_signal(number)
            if response.fileno() in ready:
                break
    try:
        result = response.json()
    except ClientError as error:
        import posix

        posix.write(2, f"Error waiting for container: {error}\n".encode())
        return 125
    problem = (result.get("Error") or {}).get("Message") if isinstance(result, dict) else None
    if problem:
        import posix

        posix.write(2, f"Error waiting for container: {problem}\n".encode())
        return 125
    return int(result["StatusCode"])
