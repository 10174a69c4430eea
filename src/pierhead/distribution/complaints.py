"""What registries say when they refuse: the error document, its codes and Docker's words."""

from __future__ import annotations

from pierhead.errors import PierError


class RegistryError(PierError):
    """A registry's answer that isn't success. ``str()`` is what Docker would print.

    The kind (for the API's status) is set on the instance; ``code`` is the first of the
    error document's (``MANIFEST_UNKNOWN``, ``DENIED``...; empty without a document).
    """

    def __init__(self, message: str, *, kind: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.kind = kind  # type: ignore[misc]
        self.status = status
        self.code = code
