"""The default seccomp profile, as Docker's, and its compiled form.

Docker's default allows a long list of system calls, some only with a capability or on an
architecture, and answers EPERM to the rest. crun 1.8 compiles a profile with libseccomp
at every start (14 ms); given the annotation ``run.oci.seccomp_bpf_data`` it loads BPF
that was compiled before. The cache is keyed by the expanded profile.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Profile = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seccomp:
    """What the runtime spec gets: the plain profile, and the BPF (base64) if there is one."""

    profile: Profile  # linux.seccomp of the runtime spec
    bpf: str | None


def default_profile(capabilities: Collection[str], arch: str | None = None) -> Profile:
    """The default profile as ``linux.seccomp``, for a process with these capabilities.

    ``arch`` is ``os.uname().machine``'s word, None for this machine.
    """
    raise NotImplementedError


def expand(profile: Profile, capabilities: Collection[str], arch: str | None = None) -> Profile:
    """A profile in Docker's file format (``--security-opt seccomp=file``) → ``linux.seccomp``.

    Resolves archMap, includes and excludes (capabilities, architectures, minKernel).
    Raises ``InvalidParameter`` naming what is wrong.
    """
    raise NotImplementedError


class SeccompCache:
    """Compiled profiles, in memory and below ``directory``."""

    def __init__(self, directory: Path) -> None: ...

    def get(self, capabilities: Collection[str], custom: Profile | None = None) -> Seccomp:
        """Expand and compile (first time 10-15 ms, then µs). Never fails for want of BPF."""
        raise NotImplementedError
