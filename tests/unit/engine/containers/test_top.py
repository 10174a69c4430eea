from __future__ import annotations

import pytest

from pierhead.engine.containers.top import check_args, parse_ps
from pierhead.errors import InvalidParameter

OUTPUT = """UID   PID  PPID CMD
root    1     0 init
root   42     1 sh -c  sleep 5
root    -     - thread of 42
root   43     1 other
root    -     - thread of 43
"""


def test_keeps_own_processes_and_their_threads() -> None:
    found = parse_ps(OUTPUT, {42})
    assert found["Titles"] == ["UID", "PID", "PPID", "CMD"]
    assert found["Processes"] == [
        ["root", "42", "1", "sh -c sleep 5"],
        ["root", "-", "-", "thread of 42"],
    ]


def test_needs_a_pid_column() -> None:
    with pytest.raises(InvalidParameter, match="Couldn't find PID field"):
        parse_ps("USER CMD\nroot x\n", {1})
    with pytest.raises(InvalidParameter, match="Unexpected pid"):
        parse_ps("PID CMD\nabc x\n", {1})


def test_no_other_column_may_be_called_pid() -> None:
    check_args("-o pid,comm")
    check_args("-o pid=PID")
    with pytest.raises(InvalidParameter, match='specifying "ppid=PID" is not allowed'):
        check_args("-o ppid=PID")
