"""A Debian image by mmdebstrap, from the distribution's signed archive.

Two runs: a short one that only asks the archive for the date of its Release files, then
the real one with that date as ``SOURCE_DATE_EPOCH``. So the same archive gives the same
image, whenever and wherever it is made (https://reproducible-builds.org/specs/source-date-epoch/).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from pierhead.engine.images import saving
from pierhead.engine.images.busybox import PATH
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.feed import out_of_pipe
from pierhead.engine.images.importing import apply_stream, record
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import Unavailable
from pierhead.linux import process
from pierhead.oci import platform
from pierhead.oci.image_config import History, ImageConfig, RunConfig
from pierhead.oci.reference import Reference
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

VARIANTS: Final = ("minbase", "apt", "essential", "required", "important", "standard", "buildd")
DEFAULT_VARIANT: Final = "minbase"
_HOOK: Final = Path(__file__).with_name("debian_hook.sh")
_TIMEOUT_S: Final = 1800.0
_PROXIES: Final = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
_ARCHITECTURES: Final = {
    "amd64": "amd64",
    "arm64": "arm64",
    "386": "i386",
    "arm": "armhf",
    "ppc64le": "ppc64el",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


async def bootstrap(
    index: ImageIndex,
    snapshots: Snapshotter,
    paths: Paths,
    ref: Reference,
    *,
    suite: str,
    variant: str,
    packages: list[str],
    mirror: str,
) -> AsyncIterator[dict[str, Any] | Image]:
    """Progress messages, then the image. Raises ``Unavailable`` with mmdebstrap's last words."""
    scratch = paths.tmp / f"debian-{secrets.token_hex(8)}"
    scratch.mkdir(mode=0o755)
    os.chmod(scratch, 0o755)  # apt downloads as its own user
    os.chmod(paths.tmp, 0o711)
    try:
        yield {"status": f"Asking the archive for {suite}"}
        date_s = await _archive_date(scratch, suite, mirror)
        created = format_rfc3339(date_s * 1_000_000_000)
        yield {"status": f"Installing {suite} ({variant}) as of {created}"}
        options = [
            f"--variant={variant}",
            "--dpkgopt=force-unsafe-io",  # a tree that dies half made is thrown away anyway
            f'--customize-hook=sh {_HOOK} "$1"',
        ]
        if packages:
            options.append(f"--include={','.join(packages)}")
        layer = await apply_stream(
            snapshots,
            out_of_pipe(lambda fd: _mmdebstrap(scratch, options, suite, mirror, date_s, fd)),
        )
    finally:
        await asyncio.shield(asyncio.to_thread(saving.discard, scratch))
    target = platform.of_machine(os.uname().machine)
    made_by = " ".join(["pier image bootstrap:", "debian", suite, variant, *packages])
    yield record(
        index,
        layer,
        ImageConfig(
            architecture=target.architecture,
            variant=target.variant,
            os="linux",
            created=created,
            config=RunConfig(env=[PATH], cmd=["bash"]),
            history=[History(created=created, created_by=made_by)],
        ),
        ref,
    )


async def _archive_date(scratch: Path, suite: str, mirror: str) -> int:
    """The newest date of the suite's Release files, in seconds since the epoch."""
    found = scratch / "dates"
    hook = f'--customize-hook=grep -h ^Date: "$1"/var/lib/apt/lists/*Release > {found}'
    options = ["--variant=custom", "--format=null", hook]
    await _mmdebstrap(scratch, options, suite, mirror, None, None)
    from email.utils import parsedate_to_datetime  # seldom needed, and large

    dates = []
    for line in found.read_text().splitlines():
        try:
            moment = parsedate_to_datetime(line.partition(":")[2].strip())
        except ValueError:
            continue
        dates.append(int(moment.timestamp()))
    if not dates:
        raise Unavailable(f"the archive of {suite} doesn't tell its date")
    return max(dates)


async def _mmdebstrap(
    scratch: Path,
    options: list[str],
    suite: str,
    mirror: str,
    date_s: int | None,
    stdout: int | None,
) -> None:
    """Run mmdebstrap; with ``stdout`` it writes the sorted tar there."""
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(scratch),
    }
    for name in _PROXIES:
        for key in (name, name.upper()):
            if value := os.environ.get(key):
                env[key] = value
    if date_s is not None:
        env["SOURCE_DATE_EPOCH"] = str(date_s)
    target = "-" if stdout is not None else "/dev/null"
    # If pierd is killed it must not go on alone; at a TERM it cleans up after itself.
    argv = ["setpriv", "--pdeathsig=TERM", "mmdebstrap", "--quiet", "--skip=output/dev", *options]
    if stdout is not None:
        argv.append("--format=tar")
    argv += [suite, target, *([mirror] if mirror else [])]
    errors = os.memfd_create("mmdebstrap", os.MFD_CLOEXEC)
    try:
        if shutil.which("mmdebstrap") is None or shutil.which("setpriv") is None:
            raise Unavailable(
                "mmdebstrap is not installed: apt-get install mmdebstrap, then try again"
            )
        child = process.spawn(argv, env=env, stdout=stdout, stderr=errors, new_session=True)
        try:
            status = await child.wait()
        except BaseException:
            child.kill(15)  # so that it unmounts and removes what it made
            raise
        if status != 0:
            size = os.fstat(errors).st_size
            text = os.pread(errors, 4096, max(0, size - 4096)).decode(errors="replace")
            lines = [line for line in text.splitlines() if line.startswith(("E:", "W:"))]
            raise Unavailable(f"mmdebstrap failed: {' '.join(lines[-4:])[:1000] or text[-300:]}")
    finally:
        os.close(errors)
