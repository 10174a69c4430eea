"""Device nodes of the host, for ``--device`` and privileged containers."""

from __future__ import annotations

from pierhead.oci.runtime_spec import Device


def device(path: str, in_container: str = "", access: str = "rwm") -> list[Device]:
    """The node at ``path``, or every node in the directory ``path``, as the container gets it.

    Symlinks are followed. Raises ``InvalidParameter`` with Docker's text when there is none.
    """
    raise NotImplementedError


def host_devices() -> list[Device]:
    """Every node of the host's /dev, for privileged containers."""
    raise NotImplementedError


def numbers(path: str) -> tuple[int, int]:
    """(major, minor) of a block device, for blkio limits. Raises ``InvalidParameter``."""
    raise NotImplementedError
