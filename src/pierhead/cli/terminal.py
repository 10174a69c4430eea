"""The local terminal: is there one, how big is it, raw mode and back."""

from __future__ import annotations

import posix
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_terminal(fd: int) -> bool:
    """Whether ``fd`` is a terminal; a closed descriptor is none."""
    try:
        return posix.isatty(fd)
    except OSError:
        return False


def size(fd: int = 1) -> tuple[int, int]:
    """(rows, columns) of the terminal at ``fd``; (0, 0) if it is none."""
    try:
        found = posix.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return found.lines, found.columns


class RawMode:
    """Raw mode on a terminal from ``enter`` to ``restore``; nothing where ``fd`` is none.

    Output processing stays on if only stdin's settings were to matter: the container's
    own terminal has translated line ends already, so it goes off as in Docker.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.saved: list[Any] | None = None

    def enter(self) -> None:
        """Keep the terminal's settings and make it raw."""
        try:
            saved = termios.tcgetattr(self.fd)
        except termios.error:
            return
        mode = [*saved[:6], list(saved[6])]
        mode[0] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN] = 1
        mode[6][termios.VTIME] = 0
        termios.tcsetattr(self.fd, termios.TCSANOW, mode)
        self.saved = saved

    def restore(self) -> None:
        """Put the terminal back; safe to repeat."""
        saved, self.saved = self.saved, None
        if saved is not None:
            try:
                termios.tcsetattr(self.fd, termios.TCSADRAIN, saved)
            except termios.error:
                pass


class DetachKeys:
    """Finds the detach sequence in what is typed.

    Keys that may be the beginning of the sequence are held back until it is certain that
    they are not.
    """

    __slots__ = ("held", "keys")

    def __init__(self, keys: bytes) -> None:
        self.keys = keys
        self.held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what to send on, whether the sequence is complete)."""
        if not self.keys:
            return data, False
        out = bytearray()
        for byte in data:
            if byte == self.keys[self.held]:
                self.held += 1
                if self.held == len(self.keys):
                    self.held = 0
                    return bytes(out), True
                continue
            if self.held:
                out += self.keys[: self.held]
                self.held = 0
                if byte == self.keys[0]:
                    self.held = 1
                    continue
            out.append(byte)
        return bytes(out), False


DEFAULT_DETACH_KEYS = b"\x10\x11"


def parse_detach_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` and the like as bytes. Raises ``ValueError`` naming the culprit."""
    if not text:
        return DEFAULT_DETACH_KEYS
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1:
            keys += key.encode()
            continue
        name = key[5:] if key.startswith("ctrl-") else ""
        if len(name) == 1 and ("a" <= name <= "z" or name in "@[\\]^_"):
            keys.append(ord(name.upper()) & 0x1F)
        else:
            raise ValueError(f"Unknown character: '{key}'")
    return bytes(keys)
