"""du and prune in both tongues."""

from __future__ import annotations

import pytest

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.usage import filters_of, record_of
from pierhead.errors import InvalidParameter


def test_filters() -> None:
    assert filters_of([]).as_dict() == {}
    assert filters_of([""]).as_dict() == {}
    assert filters_of(["id~=abc,type==regular,shared"]).as_dict() == {
        "id": ["abc"],
        "type": ["regular"],
        "shared": ["true"],
    }
    assert filters_of(["description=x"], 1_500_000_000).as_dict() == {
        "description": ["x"],
        "until": ["1.500s"],
    }


@pytest.mark.parametrize("texts", [["nope==1"], ["id!=x"], ["id==a", "id==b"]])
def test_filters_that_are_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidParameter):
        filters_of(texts)


def test_a_record() -> None:
    record = record_of(
        {
            "ID": "x",
            "Type": "exec.cachemount",
            "InUse": True,
            "Size": 7,
            "UsageCount": 3,
            "Description": "d",
            "Parents": ["p"],
            "CreatedAt": "1970-01-01T00:00:02.500000001Z",
            "LastUsedAt": None,
        }
    )
    assert (record.ID, record.Size, record.UsageCount) == ("x", 7, 3)
    assert record.Mutable
    assert record.InUse
    assert list(record.Parents) == ["p"]
    assert messages.time_ns(record.CreatedAt) == 2_500_000_000
    assert not record.HasField("LastUsedAt")
    assert record_of({"ID": "y"}).RecordType == "regular"
