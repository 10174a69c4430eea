from __future__ import annotations

import msgspec

from pierhead.engine.volumes.model import ANONYMOUS_LABEL, VolumeCreate, VolumeRecord


def test_anonymous_is_a_label() -> None:
    assert not VolumeRecord(name="a", created_ns=1).anonymous
    assert VolumeRecord(name="a", created_ns=1, labels={ANONYMOUS_LABEL: ""}).anonymous


def test_the_api_names() -> None:
    got = msgspec.json.decode(
        b'{"Name":"v","Driver":"local","DriverOpts":{"o":"ro"},"Labels":null}', type=VolumeCreate
    )
    assert (got.name, got.driver_opts, got.labels) == ("v", {"o": "ro"}, None)
