from __future__ import annotations

import pytest

from pierhead.build.dockerfile import model, words
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.expand import arg_pairs, instruction
from pierhead.build.dockerfile.parser import parse_instruction

ENV = {"A": "1", "DIR": "/d", "PORTS": "80 443/udp"}


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("USER $A:x", "user", "1:x"),
        ("WORKDIR ${DIR}/'a b'", "path", "/d/a b"),
        ("VOLUME $DIR /x", "paths", ("/d", "/x")),
        ("STOPSIGNAL ${S:-9}", "signal", "9"),
        ("EXPOSE $PORTS", "ports", ("80", "443/udp")),
        ("RUN echo $A", "cmd", "echo $A"),
        ("CMD echo $A", "cmd", "echo $A"),
        ('SHELL ["$A"]', "shell", ("$A",)),
        ("MAINTAINER $A", "maintainer", "$A"),
        ("ONBUILD RUN $A", "trigger", "RUN $A"),
    ],
)
def test_each_by_its_rules(text: str, field: str, value: object) -> None:
    assert getattr(instruction(parse_instruction(text), ENV), field) == value


def test_pairs_see_what_was_before() -> None:
    env = instruction(parse_instruction("ENV A=2 B=$A 'C D'=\"x  y\""), ENV)
    assert isinstance(env, model.Env)
    assert [(pair.key, pair.value) for pair in env.pairs] == [
        ("A", "2"),
        ("B", "1"),
        ("C D", "x  y"),
    ]


def test_files() -> None:
    text = "COPY --from=$A --chown=$A:$A --chmod=$A <<E <<'F' $DIR/* b/\nit's $A\nE\nraw $A\nF"
    missing: set[str] = set()
    copy = instruction(parse_instruction(text), ENV, unmatched=missing)
    assert isinstance(copy, model.Copy)
    assert copy.source == "$A"
    assert (copy.chown, copy.chmod) == ("1:1", "1")
    assert (copy.sources, copy.destination) == (("/d/*",), "b/")
    assert [item.text for item in copy.inline] == ["it's 1\n", "raw $A\n"]
    assert missing == set()
    add = instruction(parse_instruction("ADD --checksum=sha256:$A http://$NO/x /y"), ENV)
    assert isinstance(add, model.Add)
    assert (add.checksum, add.sources) == ("sha256:1", ("http:///x",))


def test_args_see_each_other_and_what_is_given() -> None:
    arg = parse_instruction("ARG X=$A Y=$X Z W=${NO?}")
    assert isinstance(arg, model.Arg)
    with pytest.raises(words.WordError, match="NO: is not allowed to be unset"):
        arg_pairs(arg.pairs, ENV)
    done = arg_pairs(arg.pairs, ENV, given={"W": "$A", "X": "x"})
    assert [(pair.key, pair.value) for pair in done] == [
        ("X", "x"),
        ("Y", "x"),
        ("Z", None),
        ("W", "$A"),
    ]


def test_faults_have_their_place() -> None:
    with pytest.raises(BuildError) as caught:
        instruction(parse_instruction("USER ${A"), ENV)
    assert caught.value.location is not None
    assert caught.value.location.first == 1
