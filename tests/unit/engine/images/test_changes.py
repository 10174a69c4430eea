"""``--change``, with the errors that dockerd 20.10 gave for the same input."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.engine.images.changes import apply
from pierhead.errors import InvalidParameter
from pierhead.oci.image_config import HealthcheckConfig, RunConfig

SHELL = ["/bin/sh", "-c"]


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ('CMD ["a", "b c"]', "cmd", ["a", "b c"]),
        ("CMD a  b", "cmd", [*SHELL, "a  b"]),
        ("cmd ['not json']", "cmd", [*SHELL, "['not json']"]),
        ("CMD", "cmd", []),
        ("CMD []", "cmd", []),
        ('ENTRYPOINT ["/e"]', "entrypoint", ["/e"]),
        ("ENTRYPOINT exec top", "entrypoint", [*SHELL, "exec top"]),
        ("ENV a=1 b=\"two words\" c='$x' d=a\\ b", "env", ["a=1", "b=two words", "c=$x", "d=a b"]),
        ("ENV name all the  rest", "env", ["name=all the  rest"]),
        ("ENV a=b=c", "env", ["a=b=c"]),
        ("ENV a=", "env", ["a="]),
        ("LABEL a.b=c \"quoted key\"=v", "labels", {"a.b": "c", "quoted key": "v"}),
        ("EXPOSE 80 90/udp 8000-8002", "exposed_ports",
         {"80/tcp": {}, "90/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}}),
        ('VOLUME ["/a", "/b c"]', "volumes", {"/a": {}, "/b c": {}}),
        ("VOLUME /a /b", "volumes", {"/a": {}, "/b": {}}),
        ("USER 1000:100", "user", "1000:100"),
        ("WORKDIR /a/../b//c", "working_dir", "/b/c"),
        ("WORKDIR rel", "working_dir", "/rel"),
        ("STOPSIGNAL SIGQUIT", "stop_signal", "SIGQUIT"),
        ("STOPSIGNAL 9", "stop_signal", "9"),
        ("STOPSIGNAL RTMIN+3", "stop_signal", "RTMIN+3"),
        ("ONBUILD RUN make x=1", "on_build", ["RUN make x=1"]),
        ("HEALTHCHECK NONE", "healthcheck", HealthcheckConfig(test=["NONE"])),
        ("HEALTHCHECK --interval=5s --timeout=1m30s --retries=3 CMD curl x", "healthcheck",
         HealthcheckConfig(
             test=["CMD-SHELL", "curl x"], interval=5 * 10**9, timeout=90 * 10**9, retries=3)),
        ('HEALTHCHECK CMD ["a", "b"]', "healthcheck", HealthcheckConfig(test=["CMD", "a", "b"])),
        ("CMD \\\n  a", "cmd", [*SHELL, "a"]),
    ],
)  # fmt: skip
def test_instructions(change: str, field: str, value: Any) -> None:
    assert getattr(apply(RunConfig(), [change]), field) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN foo", "run is not a valid change command"),
        ("FROM x", "from is not a valid change command"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV a=b c",
         'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("ENV =b", "ENV names can not be blank"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("EXPOSE 80/foo", "Invalid proto: foo"),
        ("EXPOSE 99999", "Invalid containerPort: 99999"),
        ("EXPOSE 90-80", "Invalid containerPort: 90-80"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("LABEL", "LABEL requires at least one argument"),
        ("STOPSIGNAL foo", "Invalid signal: foo"),
        ("HEALTHCHECK foo", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --nope=1 CMD x", "Unknown flag: nope"),
        ("HEALTHCHECK --interval=1us CMD x", "Interval 'interval' cannot be less than 1ms"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("USER a b", "USER requires exactly one argument"),
        ("ENV a='x", "unexpected end of statement while looking for matching single-quote"),
    ],
)  # fmt: skip
def test_errors(change: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        apply(RunConfig(), [change])
    assert error.value.message == message


def test_variables_come_from_the_config_and_from_earlier_changes() -> None:
    config = RunConfig(env=["BASE=/opt", "EMPTY="])
    result = apply(
        config,
        [
            "ENV PATH=$BASE/bin:${NOPE:-/bin} X=${EMPTY:-d} Y=${EMPTY-d} Z=${BASE:+set} BASE=/new",
            "WORKDIR $BASE/x",
            "LABEL l=\"${X}\" k='${X}' m=\\$X",
        ],
    )
    assert result.env == ["BASE=/new", "EMPTY=", "PATH=/opt/bin:/bin", "X=d", "Y=", "Z=set"]
    assert result.working_dir == "/new/x"
    assert result.labels == {"l": "d", "k": "${X}", "m": "$X"}
    assert config.env == ["BASE=/opt", "EMPTY="]


def test_an_entrypoint_takes_the_inherited_command_away() -> None:
    base = RunConfig(cmd=["inherited"])
    assert apply(base, ['ENTRYPOINT ["e"]']).cmd is None
    assert apply(base, ['CMD ["c"]', 'ENTRYPOINT ["e"]']).cmd == ["c"]


def test_several_lines_in_one_change() -> None:
    result = apply(RunConfig(), ["# a comment\nUSER me\n\nCMD x\n"])
    assert (result.user, result.cmd) == ("me", [*SHELL, "x"])
