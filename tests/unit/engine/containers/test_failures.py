from __future__ import annotations

import pytest

from pierhead.engine.containers.failures import exec_failure, start_failure
from pierhead.errors import Internal, InvalidParameter


@pytest.mark.parametrize(
    ("said", "argv0", "part", "code"),
    [
        (
            "executable file `foo` not found in $PATH: No such file or directory",
            "foo",
            'exec: "foo": executable file not found in $PATH',
            127,
        ),
        (
            "executable file `/nope` not found: No such file or directory",
            "/nope",
            'exec: "/nope": stat /nope: no such file or directory',
            127,
        ),
        ("open executable: Permission denied", "/x", 'exec: "/x": permission denied', 126),
        ("open executable: Operation not permitted", "/etc", 'exec: "/etc": is a directory', 126),
        ("exec container process `/x`: Exec format error", "/x", "exec format error", 126),
        ("mount `/a` to `/b`: Not a directory", "/x", "Are you trying to mount a directory", 127),
    ],
)
def test_client_faults(said: str, argv0: str, part: str, code: int) -> None:
    failure = start_failure(said, argv0)
    assert part in failure.message and failure.exit_code == code
    assert failure.message.startswith("failed to create task for container: ")
    assert failure.message.endswith(": unknown")
    assert isinstance(failure.as_error(), InvalidParameter)


def test_the_machines_fault() -> None:
    failure = start_failure("write config: No space left on device", "x")
    assert failure.exit_code == 128
    assert isinstance(failure.as_error(), Internal)


def test_exec() -> None:
    failure = exec_failure("executable file `q` not found in $PATH: No such file", "q")
    assert failure.message == (
        "OCI runtime exec failed: exec failed: unable to start container process: "
        'exec: "q": executable file not found in $PATH: unknown'
    )
    assert failure.exit_code == 127
    assert exec_failure("something else", "q").exit_code == 126
