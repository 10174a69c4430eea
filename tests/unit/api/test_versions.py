"""Version prefixes."""

from __future__ import annotations

import pytest

from pierhead.api.versions import MAX_MINOR, minor_of, split_version
from pierhead.errors import InvalidParameter


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        ("/v1.41/info", "1.41", "/info"),
        ("/info", None, "/info"),
        ("/version", None, "/version"),
        ("/volumes/v1.2", None, "/volumes/v1.2"),
        ("/v1.41", None, "/v1.41"),
        ("/v1.41/containers/v1.2/json", "1.41", "/containers/v1.2/json"),
    ],
)
def test_split(path: str, version: str | None, rest: str) -> None:
    assert split_version(path) == (version, rest)


def test_range() -> None:
    assert minor_of(None) == MAX_MINOR
    assert minor_of("1.24") == 24
    assert minor_of("1.56") == 56
    for old in ("1.23", "1.9", "0.99", "1", "1."):
        with pytest.raises(InvalidParameter, match="too old"):
            minor_of(old)
    for new in ("1.57", "2.0", "1.999999999999"):
        with pytest.raises(InvalidParameter, match="too new"):
            minor_of(new)
