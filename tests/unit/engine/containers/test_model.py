from __future__ import annotations

import msgspec

from pierhead.engine.containers.model import ContainerStatus, ExecConfig, Phase
from unit.engine.containers.test_registry import container


async def test_records_and_statuses_survive_json() -> None:
    made = container("a", "aa")
    for value in (made.record, made.status):
        encoded = msgspec.json.encode(value)
        assert msgspec.json.decode(encoded, type=type(value)) == value


def test_old_rows_decode() -> None:
    """Every field of a status has a default: what an older pierd wrote is enough."""
    assert msgspec.json.decode(b"{}", type=ContainerStatus) == ContainerStatus()
    assert msgspec.json.decode(b'{"phase":"exited"}', type=ContainerStatus).phase is Phase.EXITED


def test_exec_config_has_the_apis_names() -> None:
    found = msgspec.json.decode(b'{"AttachStdin":true,"Cmd":["a"],"WorkingDir":"/"}',
                                type=ExecConfig)  # fmt: skip
    assert (found.attach_stdin, found.cmd, found.working_dir) == (True, ["a"], "/")
