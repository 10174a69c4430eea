from __future__ import annotations

import pytest

from pierhead.cli.format.text import check_label, joined_labels, natural_key, pairs


def test_natural_order() -> None:
    names = ["v10", "v2", "a", "v1", "v2b", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "v1", "v2", "v2b", "v10"]


def test_pairs_and_labels() -> None:
    assert pairs(["a=b=c", "d"]) == {"a": "b=c", "d": ""}
    assert joined_labels({"b": "2", "a": "1"}) == "a=1,b=2"
    assert joined_labels(None) == ""
    assert check_label("a") == "a"
    with pytest.raises(ValueError, match="invalid label '=x': empty name"):
        check_label("=x")
