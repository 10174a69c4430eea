from __future__ import annotations

import os
import signal
import socket

from pierhead.linux import process, worker_template


def test_the_limit_is_that_of_the_other_side() -> None:
    from pierhead.linux import template

    assert template.MOST_DESCRIPTORS == worker_template.MOST_DESCRIPTORS


def test_descriptors_are_put_in_their_places_and_others_closed() -> None:
    """In a process of its own, for it closes what pytest has open."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        return
    code = 1
    try:
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        _, theirs = socket.socketpair()
        fds = [process.memory_file(name, b"") for name in ("request", "result", "a", "b", "c")]
        os.memfd_create("other")
        # the first two change places, the last one goes to a number of a stream
        targets = [fds[3], fds[2], 0]
        request, result, control = worker_template.place(fds, targets, theirs.fileno())
        names = [os.readlink(f"/proc/self/fd/{fd}") for fd in (request, result, *targets)]
        assert [name.removesuffix(" (deleted)") for name in names] == [
            f"/memfd:{name}" for name in ("request", "result", "a", "b", "c")
        ]
        # the listing's own descriptor is closed by the time we ask
        listed = [int(name) for name in os.listdir("/proc/self/fd")]
        left = {fd for fd in listed if os.path.exists(f"/proc/self/fd/{fd}")}
        assert left == {0, 1, 2, request, result, control, *targets}
        assert not os.get_inheritable(request)
        assert os.get_inheritable(targets[0])
        code = 0
    finally:
        os._exit(code)


def test_it_imports_once_and_leaves_errors_to_the_child() -> None:
    assert not worker_template._prepare("linux.process", [])
    assert not worker_template._prepare("linux.no_such_module", [])


def test_a_peer_that_is_gone_is_no_error() -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with theirs:
        worker_template._send(theirs, "1 2")
        worker_template.serve(theirs)
    signal.signal(signal.SIGPIPE, before)
