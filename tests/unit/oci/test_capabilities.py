from __future__ import annotations

import pytest

from pierhead.errors import InvalidParameter
from pierhead.oci import capabilities as caps


def test_the_default_set_has_14() -> None:
    assert len(caps.DEFAULT) == 14
    assert set(caps.DEFAULT) <= set(caps.ALL)
    assert caps.ALL.index("CAP_CHECKPOINT_RESTORE") == 40


def test_names_in_any_form() -> None:
    assert caps.normalize(["net_admin", "CAP_CHOWN", "all"], field="CapAdd") == [
        "CAP_NET_ADMIN",
        "CAP_CHOWN",
        "ALL",
    ]
    with pytest.raises(InvalidParameter, match='invalid CapDrop: unknown capability: "fly"'):
        caps.normalize(["fly"], field="CapDrop")


def test_add_and_drop() -> None:
    assert caps.effective() == list(caps.DEFAULT)
    assert "CAP_NET_ADMIN" in caps.effective(["NET_ADMIN"])
    assert "CAP_CHOWN" not in caps.effective(drop=["CHOWN"])
    assert caps.effective(drop=["ALL"]) == []
    assert caps.effective(["CHOWN"], ["ALL"]) == ["CAP_CHOWN"]
    assert caps.effective(["ALL"], ["CHOWN"]) == [n for n in caps.ALL if n != "CAP_CHOWN"]


def test_privileged_gets_what_there_is() -> None:
    assert caps.effective(privileged=True) == list(caps.ALL)
    available = [name for name in caps.ALL if name != "CAP_SYS_RESOURCE"]
    assert caps.effective(privileged=True, available=available) == available
    assert "CAP_SYS_RESOURCE" not in caps.effective(["SYS_RESOURCE"], available=available)
