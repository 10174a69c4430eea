"""A container on layers that were never unpacked does what one on unpacked directories does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Pierd

from .conftest import make_command

pytestmark = [pytest.mark.root, pytest.mark.slow]

# What deals with files, links, directories, owners, times and archives.
SUITE = "test_os test_posix test_shutil test_tarfile test_pathlib test_stat test_tempfile test_glob"
WORK = f"""
set -e
apt-get update -q -o APT::Update::Error-Mode=any || {{ echo "no mirror"; exit 0; }}
apt-get install -q -y --no-install-recommends python3 libpython3.11-testsuite
echo "verify: $(dpkg --verify | sort | tr '\\n' ' ')"
python3 -m test {SUITE} > /tmp/said 2>&1 || true
cat /tmp/said
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian to load."""
    path = tmp_path_factory.mktemp("debian") / "debian.tar"
    maker = Pierd("mk")
    maker.start()
    try:
        pier = make_command("pier", maker.host)
        pier("image", "bootstrap", "debian:bookworm", timeout_s=600)
        pier("save", "-o", str(path), "debian:bookworm", timeout_s=120)
        yield path
    finally:
        maker.destroy()


def outcome(driver: str, archive: Path) -> tuple[str, list[str], str]:
    """What dpkg finds changed, which tests fail, how many there were."""
    pierd = Pierd(driver[:3], extra=["--storage-driver", driver])
    pierd.start()
    try:
        pier = make_command("pier", pierd.host)
        pier("load", "-i", str(archive), timeout_s=120)
        assert pier("info", "-f", "{{.Driver}}").out == driver
        said = pier("run", "--rm", "debian:bookworm", "sh", "-c", WORK, timeout_s=900).stdout
    finally:
        pierd.destroy()
    if "no mirror" in said.splitlines():
        pytest.skip("containers can't reach the Debian mirror here")
    verified = re.search(r"^verify: (.*)$", said, re.MULTILINE)
    total = re.search(
        r"^Total tests: (run=[0-9,]+)|^(?:All )?([0-9]+) tests? OK", said, re.MULTILINE
    )
    assert verified is not None and total is not None, said[-2000:]
    failed = re.findall(r"^(?:FAIL|ERROR): (\S+ \(\S+\))", said, re.MULTILINE)
    return verified[1].strip(), sorted(failed), total[0]


def test_apt_dpkg_and_python_see_no_difference(archive: Path) -> None:
    layered = outcome("erofs", archive)
    assert layered[0] == ""
    assert layered == outcome("overlay2", archive)
