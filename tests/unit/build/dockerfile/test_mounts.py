from __future__ import annotations

import pytest

from pierhead.build.dockerfile import mounts
from pierhead.build.dockerfile.mounts import DeviceSpec, MountError, MountSpec
from pierhead.build.execute.model import MountKind, Sharing

NO_VARIABLES: dict[str, str] = {}


@pytest.mark.parametrize(
    ("flag", "spec"),
    [
        ("target=/x", MountSpec(kind=MountKind.BIND, target="/x")),
        (
            "type=bind,from=a,src=/s,dst=/x,rw",
            MountSpec(kind=MountKind.BIND, origin="a", source="/s", target="/x", read_only=False),
        ),
        (
            "type=cache,target=/x/../c,sharing=locked,mode=0755,uid=1,gid=2",
            MountSpec(
                kind=MountKind.CACHE,
                target="/x/../c",
                id="/c",
                sharing=Sharing.LOCKED,
                read_only=False,
                mode=0o755,
                uid=1,
                gid=2,
            ),
        ),
        (
            "type=cache,id=i,target=/c,ro",
            MountSpec(kind=MountKind.CACHE, target="/c", id="i", read_only=True),
        ),
        (
            "type=tmpfs,target=/t,size=1.5k",
            MountSpec(kind=MountKind.TMPFS, target="/t", size_bytes=1536, read_only=False),
        ),
        (
            "type=secret,id=a/b",
            MountSpec(kind=MountKind.SECRET, id="a/b", target="/run/secrets/b"),
        ),
        (
            "type=secret,target=/etc/key,required",
            MountSpec(kind=MountKind.SECRET, id="key", target="/etc/key", required=True),
        ),
        ("type=secret,id=a,env=A", MountSpec(kind=MountKind.SECRET, id="a", env="A")),
        (
            "type=secret,id=a,env=A,target=/x",
            MountSpec(kind=MountKind.SECRET, id="a", env="A", target="/x"),
        ),
        (
            "type=ssh,required=true",
            MountSpec(kind=MountKind.SSH, id="default", required=True),
        ),
        ('"type=bind","target=/a,b"', MountSpec(kind=MountKind.BIND, target="/a,b")),
        (
            "TYPE=Cache,target=/x",
            MountSpec(kind=MountKind.CACHE, id="/x", target="/x", read_only=False),
        ),
    ],
)
def test_parse(flag: str, spec: MountSpec) -> None:
    assert mounts.parse(flag, NO_VARIABLES) == spec


def test_variables_wait_for_their_values() -> None:
    flag = "type=cache,target=${DIR:-/d},id=$ID"
    assert mounts.parse(flag).target == "${DIR:-/d}"
    missing: set[str] = set()
    spec = mounts.parse(flag, {"ID": "i"}, unmatched=missing)
    assert (spec.target, spec.id) == ("/d", "i")
    assert missing == {"DIR"}
    assert mounts.parse("type=$T,from=a").origin == "a"
    with pytest.raises(MountError, match="'from' doesn't support variable expansion"):
        mounts.parse("from=$x,target=/y")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("type=bnd,target=/x", 'unsupported mount type "bnd" (did you mean bind?)'),
        ("targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"),
        ("x", "invalid field 'x' must be a key=value pair"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,target=/x,size=x", "invalid value for size: x"),
        ("target=/x,ro=maybe", "invalid value for ro: maybe"),
        ("target=/x,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/x,uid=-1", "invalid value -1 for uid"),
        ("target=/x,uid=1", 'uid not allowed for "bind" type mounts'),
        ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=cache,target=/x,sharing=lock", 'unsupported sharing value "lock"'),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
        ('"open', "failed to parse csv mounts"),
    ],
)
def test_faults(flag: str, message: str) -> None:
    with pytest.raises(MountError) as caught:
        mounts.parse(flag, NO_VARIABLES)
    assert message in str(caught.value)


def test_devices() -> None:
    assert mounts.parse_device("v.com/c=x") == DeviceSpec(name="v.com/c=x")
    assert mounts.parse_device("name=v,required") == DeviceSpec(name="v", required=True)
    with pytest.raises(MountError, match="device name already set to v"):
        mounts.parse_device("v,name=w")
    with pytest.raises(MountError, match="invalid value for required: x"):
        mounts.parse_device("v,required=x")
