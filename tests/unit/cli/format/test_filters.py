from __future__ import annotations

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.format.filters import check_filter, parse_filters, with_prune_filters


def test_parse() -> None:
    assert parse_filters([]) is None
    assert parse_filters(["label=a=b", "LABEL = c ", "label=a=b", ""]) == {"label": ["a=b", "c"]}
    with pytest.raises(CliError, match="bad format of filter"):
        parse_filters(["x"])
    with pytest.raises(ValueError, match=r"bad format of filter \(expected name=value\)"):
        check_filter("x")
    assert check_filter("a=b") == "a=b"


def test_configured_filters_yield_to_flags() -> None:
    config = {"pruneFilters": ["label=keep", "label!=x", "until=24h", "broken"]}
    assert with_prune_filters(config, {"label": ["x"]}) == {
        "label": ["x", "keep"],
        "until": ["24h"],
    }
    assert with_prune_filters({}, None) == {}
