from __future__ import annotations

import pytest

from pierhead.build.dockerfile import model
from pierhead.build.dockerfile.instructions import (
    UnknownInstruction,
    description_of,
    instruction_of,
    stage_of,
)
from pierhead.build.dockerfile.lines import parse_lines
from pierhead.build.dockerfile.model import Instruction


def one(text: str) -> Instruction:
    return instruction_of(parse_lines(text.encode()).nodes[0])


def test_from() -> None:
    stage = stage_of(parse_lines(b"# Base is it\nfrom --platform=$P a:1 As Base").nodes[0])
    assert (stage.base, stage.platform, stage.name) == ("a:1", "$P", "base")
    assert (stage.keyword, stage.as_keyword, stage.written_name) == ("from", "As", "Base")
    assert description_of(["x", "base says this"], "base") == "says this"


def test_run() -> None:
    run = one("RUN --mount=type=cache,target=/x --mount=from=a,target=b --network=none a && b")
    assert isinstance(run, model.Run)
    assert run.cmd == "a && b"
    assert run.is_shell
    assert run.mounts == ("type=cache,target=/x", "from=a,target=b")
    assert run.network == "none"
    listed = one('RUN --security=insecure --device=vendor/x=y ["a", "b"]')
    assert isinstance(listed, model.Run)
    assert listed.cmd == ("a", "b")
    assert listed.security == "insecure"
    assert listed.devices == ("vendor/x=y",)


def test_copy_and_add() -> None:
    copy = one(
        "COPY --from=0 --chown=1:2 --chmod=u+x --link --parents --exclude=a --exclude=b x y /z/"
    )
    assert copy == model.Copy(
        original=copy.original,
        location=copy.location,
        keyword="COPY",
        sources=("x", "y"),
        destination="/z/",
        chown="1:2",
        chmod="u+x",
        link=True,
        exclude=("a", "b"),
        source="0",
        parents=True,
    )
    add = one("ADD --checksum=sha256:x --keep-git-dir=false --unpack <<E http://x/y /z\ntext\nE")
    assert isinstance(add, model.Add)
    assert add.sources == ("http://x/y",)
    assert [(item.name, item.text) for item in add.inline] == [("E", "text\n")]
    assert (add.keep_git_dir, add.unpack, add.checksum) == (False, True, "sha256:x")
    spaced = one('COPY ["a b", "c d/"]')
    assert isinstance(spaced, model.Copy)
    assert (spaced.sources, spaced.destination) == (("a b",), "c d/")


def test_the_others() -> None:
    env = one("ENV a=1 b='2 3'")
    assert isinstance(env, model.Env)
    assert [(pair.key, pair.value, pair.legacy) for pair in env.pairs] == [
        ("a", "1", False),
        ("b", "'2 3'", False),
    ]
    label = one("LABEL a b  c")
    assert isinstance(label, model.Label)
    assert label.pairs == (model.Pair(key="a", value="b  c", legacy=True),)
    arg = one("# A is it\nARG A B= C=x")
    assert isinstance(arg, model.Arg)
    assert [(pair.key, pair.value, pair.description) for pair in arg.pairs] == [
        ("A", None, "is it"),
        ("B", "", ""),
        ("C", "x", ""),
    ]
    expose = one("EXPOSE 90 80/tcp")
    assert isinstance(expose, model.Expose)
    assert expose.ports == ("80/tcp", "90")
    volume = one('VOLUME ["/a b", "/c"]')
    assert isinstance(volume, model.Volume)
    assert volume.paths == ("/a b", "/c")
    onbuild = one("OnBuild RUN <<E\nx\nE")
    assert isinstance(onbuild, model.OnBuild)
    assert onbuild.trigger == "RUN <<E\nx\nE"
    assert onbuild.name == "ONBUILD"
    shell = one('SHELL ["a", "-c"]')
    assert isinstance(shell, model.Shell)
    assert shell.shell == ("a", "-c")
    empty = one("ENTRYPOINT []")
    assert isinstance(empty, model.Entrypoint)
    assert empty.cmd == ()
    user = one("USER a b")
    assert isinstance(user, model.User)
    assert user.user == "a b"


def test_healthcheck() -> None:
    check = one('HEALTHCHECK --interval=5s --start-interval=1ms --retries=3 CMD ["a"]')
    assert isinstance(check, model.Healthcheck)
    assert check.test == ("CMD", "a")
    assert (check.interval_ns, check.start_interval_ns) == (5_000_000_000, 1_000_000)
    assert check.retries == 3
    shell = one("HEALTHCHECK CMD a b")
    assert isinstance(shell, model.Healthcheck)
    assert shell.test == ("CMD-SHELL", "a b")
    none = one("healthcheck none")
    assert isinstance(none, model.Healthcheck)
    assert none.test == ("NONE",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FOO x", "unknown instruction: FOO"),
        ("CPOY a b", "unknown instruction: CPOY (did you mean COPY?)"),
        ("form x", "unknown instruction: form (did you mean from?)"),
        ("COPY a", "COPY requires at least two arguments, but only one was provided. Destination"),
        ("COPY --frm=a b c", "unknown flag: --frm (did you mean from?)"),
        ("COPY a <<EOF\nEOF", "COPY cannot accept a heredoc as a destination"),
        ("ENV =x", "ENV names can not be blank"),
        ("ENV", "ENV requires at least one argument"),
        ("ARG =x", "ARG names can not be blank"),
        ("ARG", "ARG requires at least one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("SHELL a", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("CMD --x y", "unknown flag: --x"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ('VOLUME ["a", " "]', "VOLUME specified can not be an empty string"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"),
        ("RUN --network=x y", 'invalid network mode "x"'),
        ("RUN --security=x y", 'security "x" is not valid'),
        ("RUN --mount=from=$x,target=/ y", "'from' doesn't support variable expansion, define"),
        ("RUN --device=a,b=c y", "unexpected key 'b' in 'b=c'"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK x", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --interval=1ns CMD x", 'Interval "interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("HEALTHCHECK --retries=9999999999 CMD x", "value out of range"),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        one(text)
    assert message in str(caught.value)
    assert isinstance(caught.value, UnknownInstruction) is message.startswith("unknown instr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"FROM", "FROM requires either one or three arguments"),
        (b"FROM a b c", "FROM requires either one or three arguments"),
        (b"FROM a AS 1b", 'invalid name for build stage: "1b", name can\'t start with a number'),
        (b"FROM --x=y a", "unknown flag: --x"),
    ],
)
def test_faults_of_from(text: bytes, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        stage_of(parse_lines(text).nodes[0])
    assert message in str(caught.value)
