"""What can go wrong between client and daemon."""

from __future__ import annotations


class ClientError(Exception):
    """Root of the client's own errors; ``str()`` is the message for people."""


class ConnectFailed(ClientError):
    """Nobody listens at the daemon's address, or it may not be reached."""


class ProtocolError(ClientError):
    """The other side broke off or does not speak HTTP as we know it."""


class ApiError(ClientError):
    """The daemon answered with an error status.

    ``message`` is the daemon's ``{"message"}`` or, failing that, its text.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return f"Error response from daemon: {self.message}"
