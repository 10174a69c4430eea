from __future__ import annotations

from pierhead.linux import seccomp_calls
from pierhead.oci.capabilities import ALL


def test_the_list_is_sorted_and_says_nothing_twice() -> None:
    names = seccomp_calls.ALWAYS.split()
    assert names == sorted(set(names))
    assert all(name.isidentifier() for name in names)


def test_what_a_capability_opens_is_not_open_to_all() -> None:
    always = set(seccomp_calls.ALWAYS.split())
    for capability, names in seccomp_calls.BY_CAPABILITY:
        assert capability in ALL
        assert not always & set(names.split())
