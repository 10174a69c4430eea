"""TLS towards registries: the system's authorities, ``certs.d``, client certificates.

A registry's directory ``<certs.d>/<host[:port]>/`` holds ``*.crt`` (authorities to trust
besides the system's) and pairs ``*.cert`` and ``*.key`` (our certificates for it).
Pierhead's own directory is looked at first, then Docker's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pierhead.errors import InvalidParameter

if TYPE_CHECKING:
    import ssl

CERTS_DIRS: Final = (Path("/etc/pierhead/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True)
class HostFiles:
    """What lies in a registry's directories."""

    authorities: tuple[Path, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()
    """(certificate, key)."""


def host_files(host: str, certs_dirs: Sequence[Path] = CERTS_DIRS) -> HostFiles:
    """The files for ``host[:port]``. Raises ``InvalidParameter`` for half a pair, as dockerd."""
    authorities: list[Path] = []
    pairs: list[tuple[Path, Path]] = []
    if not host or "/" in host or host.startswith("."):
        return HostFiles()
    for base in certs_dirs:
        folder = base / host
        try:
            names = sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InvalidParameter(f"can't read {folder}: {error.strerror}") from error
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix == ".crt":
                authorities.append(folder / name)
            elif suffix == ".cert":
                if f"{stem}.key" not in names:
                    raise InvalidParameter(
                        f"missing key {stem}.key for client certificate {name}. "
                        "CA certificates must use the extension .crt"
                    )
                pairs.append((folder / name, folder / f"{stem}.key"))
            elif suffix == ".key" and f"{stem}.cert" not in names:
                raise InvalidParameter(f"missing client certificate {stem}.cert for key {name}")
    return HostFiles(tuple(authorities), tuple(pairs))


def client_context(
    authorities: Sequence[Path], pairs: Sequence[tuple[Path, Path]], *, verify: bool
) -> ssl.SSLContext:
    """A context for connections; reading the system's authorities takes some 10 ms.

    Of several client certificates the last one of each key type is shown. Raises
    ``InvalidParameter`` for files that hold no certificate or key.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        for path in authorities:
            try:
                context.load_verify_locations(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise InvalidParameter(f"no certificate authority in {path}: {error}") from error
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for certificate, key in pairs:
        try:
            # An encrypted key would make OpenSSL ask on the terminal.
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise InvalidParameter(
                f"no client certificate in {certificate} and {key}: {error}"
            ) from error
    return context
