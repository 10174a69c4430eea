from __future__ import annotations

from pierhead.cli.container.options import CREATE_FLAGS, LIMIT_FLAGS, RUN_FLAGS
from pierhead.cli.container.spec import LIMITS
from pierhead.cli.flags import _load_converter


def test_every_check_exists() -> None:
    for flag in RUN_FLAGS:
        if len(flag) > 5:
            assert callable(_load_converter(flag[5])), flag[0]


def test_run_has_all_of_create() -> None:
    assert set(CREATE_FLAGS) < set(RUN_FLAGS)


def test_update_knows_every_limit() -> None:
    assert {flag[0] for flag in LIMIT_FLAGS} == {flag for flag, _ in LIMITS}
