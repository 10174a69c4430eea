"""The classic builder's messages; what is expected here was written down by dockerd 20.10."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pierhead.api.build import drawing
from pierhead.api.build.drawing import ClassicDrawing, encode, failure
from pierhead.build.execute.model import StepFailed
from pierhead.build.model import Event, StepDone, StepLog, StepProgress, StepStarted, Warned
from pierhead.errors import NotFound
from pierhead.oci.digest import Digest, sha256

IDS = {name: "sha256:" + f"{number:02x}" * 32 for number, name in enumerate("abcdefgh")}


def step(
    number: int, total: int, text: str, *middle: Any, image: str = "", cached: bool = False
) -> list[Event]:
    """A whole step: ``middle`` are (stream, bytes) of logs, or ready events."""
    digest = sha256(f"{number} {text}".encode())
    events: list[Event] = [
        StepStarted(time_ns=1, step=digest, name=text, instruction=text, number=number, total=total)
    ]
    for part in middle:
        events.append(
            StepLog(time_ns=2, step=digest, stream=part[0], data=part[1])
            if isinstance(part, tuple)
            else part(digest)
        )
    events.append(
        StepDone(time_ns=3, step=digest, cached=cached, image_id=IDS[image] if image else "")
    )
    return events


def running(digest: Digest) -> Event:
    return StepProgress(time_ns=2, step=digest, id="", action=drawing.RUNNING)


def text_of(messages: list[dict[str, Any]]) -> str:
    """The streams' text with made-up container ids as CID, other messages as JSON lines."""
    text = "".join(
        message["stream"] if "stream" in message else json.dumps(message) + "\n"
        for message in messages
    )
    return re.sub(r"((?:Running in|container) )[0-9a-f]{12}", r"\1CID", text)


def draw(events: list[Event], **options: bool) -> tuple[ClassicDrawing, list[dict[str, Any]]]:
    drawn = ClassicDrawing(**options)
    return drawn, [message for event in events for message in drawn.draw(event)]


EVENTS = [
    *step(1, 8, "ARG V=latest"),
    *step(2, 8, "FROM busybox:$V AS one", image="a", cached=True),
    *step(3, 8, "ENV a=b", image="b"),
    *step(4, 8, "COPY f /f", image="c"),
    *step(5, 8, "RUN echo hi; echo err >&2", running, (2, b"err\n"), (1, b"hi\n"), image="d"),
    *step(6, 8, "CMD x", image="e", cached=True),
    *step(7, 8, "FROM scratch"),
    *step(8, 8, "COPY --from=one /f /g", image="f"),
    Warned(
        time_ns=4, rule="Unused", text="[Warning] One or more build-args [X B] were not consumed"
    ),
]


def test_a_build_is_told_as_dockerd_tells_it() -> None:
    drawn, messages = draw(EVENTS)
    messages += drawn.finish(IDS["f"], ["foo/bar:latest", "a:1"])
    assert text_of(messages) == (
        "Step 1/8 : ARG V=latest\n"
        "Step 2/8 : FROM busybox:$V AS one\n"
        " ---> 000000000000\n"
        "Step 3/8 : ENV a=b\n"
        " ---> Running in CID\n"
        "Removing intermediate container CID\n"
        " ---> 010101010101\n"
        "Step 4/8 : COPY f /f\n"
        " ---> 020202020202\n"
        "Step 5/8 : RUN echo hi; echo err >&2\n"
        " ---> Running in CID\n"
        "\x1b[91merr\n\x1b[0m"
        "hi\n"
        "Removing intermediate container CID\n"
        " ---> 030303030303\n"
        "Step 6/8 : CMD x\n"
        " ---> Using cache\n"
        " ---> 040404040404\n"
        f'{{"aux": {{"ID": "{IDS["e"]}"}}}}\n'
        "Step 7/8 : FROM scratch\n"
        " ---> \n"
        "Step 8/8 : COPY --from=one /f /g\n"
        " ---> 050505050505\n"
        f'{{"aux": {{"ID": "{IDS["f"]}"}}}}\n'
        "[Warning] One or more build-args [X B] were not consumed\n"
        "Successfully built 050505050505\n"
        "Successfully tagged foo/bar:latest\n"
        "Successfully tagged a:1\n"
    )
    assert {"stream": "Step 1/8 : ARG V=latest"} in messages  # its line end is another one


def test_containers_stay_without_rm() -> None:
    _, messages = draw(EVENTS, remove=False)
    assert "Removing" not in text_of(messages)


def test_what_comes_before_the_first_step() -> None:
    step = sha256(b"context")
    url = "http://h.example/context.tar"
    _, messages = draw(
        [
            StepStarted(time_ns=1, step=step, name=f"[internal] load remote {url}"),
            StepProgress(time_ns=2, step=step, id="x", action="downloading", current=364),
            Warned(time_ns=3, rule="NoEmptyContinuation", text="Empty continuation line (line 4)"),
        ]
    )
    assert messages == [
        {
            "status": url,
            "progressDetail": {"current": 364},
            "progress": "    364B",
            "id": "Downloading context",
        },
        {
            "stream": "\x1b[91m[WARNING]: Empty continuation line (line 4)\n[WARNING]: Empty "
            "continuation lines will become errors in a future release.\n\x1b[0m"
        },
    ]


def test_old_clients_get_no_aux() -> None:
    drawn, messages = draw(EVENTS, aux=False)
    messages += drawn.finish(IDS["f"], [], squashed=True)
    assert not any("aux" in message for message in messages)


def test_triggers_belong_to_their_from() -> None:
    events = [
        *step(1, 2, "FROM ob", image="a", cached=True),
        *step(0, 2, "RUN echo on", (1, b"on\n"), image="b"),
        *step(0, 2, "ENV a=b", image="c", cached=True),
        *step(2, 2, "CMD x", image="d", cached=True),
    ]
    _, messages = draw(events)
    assert text_of(messages) == (
        "Step 1/2 : FROM ob\n"
        "# Executing 2 build triggers\n"
        " ---> Running in CID\n"
        "on\n"
        "Removing intermediate container CID\n"
        " ---> Using cache\n"
        " ---> 020202020202\n"
        "Step 2/2 : CMD x\n"
        " ---> Using cache\n"
        " ---> 030303030303\n"
    )


@pytest.mark.parametrize("force", [False, True])
def test_a_failed_command_has_its_code(force: bool) -> None:
    events = [
        *step(1, 2, "FROM busybox", image="a", cached=True),
        *step(2, 2, 'RUN echo "hi" && false', (1, b"hi\n"))[:-1],
    ]
    drawn, messages = draw(events, force_remove=force)
    error = StepFailed(
        'process "/bin/sh -c echo \\"hi\\" && false" did not complete successfully: exit code: 7',
        7,
    )
    messages += drawn.fail(error)
    words = "The command '/bin/sh -c echo \"hi\" && false' returned a non-zero code: 7"
    assert messages[-1] == {"errorDetail": {"code": 7, "message": words}, "error": words}
    removed = "Removing intermediate container CID\n" if force else ""
    assert text_of(messages[:-1]).endswith(f" ---> Running in CID\nhi\n{removed}")


def test_other_errors_have_none() -> None:
    assert failure(NotFound("x")) == {"errorDetail": {"message": "x"}, "error": "x"}
    assert failure(ValueError("x"))["error"] == "internal error: ValueError: x"


def test_a_base_that_fails_has_no_arrow() -> None:
    drawn, messages = draw(step(1, 1, "FROM nosuch")[:-1])
    messages += drawn.fail(NotFound("no"))
    assert text_of(messages).startswith('Step 1/1 : FROM nosuch\n{"errorDetail"')


def test_characters_cut_in_two_come_whole() -> None:
    text = "grün\n".encode()
    events = step(2, 2, "RUN x", (1, text[:3]), (2, b"\xff"), (1, text[3:]))
    _, messages = draw([*step(1, 2, "FROM b", image="a"), *events])
    assert text_of(messages).split("CID\n")[1].startswith("gr\x1b[91m�\x1b[0mün\n")


def test_internal_steps_are_silent() -> None:
    digest = sha256(b"x")
    _, messages = draw(
        [
            StepStarted(time_ns=1, step=digest, name="[internal] load build context"),
            StepProgress(time_ns=1, step=digest, id="x", action="transferring", current=1),
            StepDone(time_ns=2, step=digest),
            Warned(time_ns=2, rule="StageNameCasing", text="Stage name 'A' should be lowercase"),
        ]
    )
    assert messages == []


def test_squashed_builds_tell_both_ids() -> None:
    drawn, _ = draw(step(1, 1, "FROM busybox", image="a"))
    messages = drawn.finish(IDS["b"], [], squashed=True)
    assert messages[1:3] == [
        {"aux": {"ID": IDS["a"]}},
        {"id": "moby.image.id", "aux": {"ID": IDS["b"]}},
    ]


def test_lines_end_as_dockerd_ends_them() -> None:
    assert encode([{"stream": "a\n"}, {"stream": "ü"}]) == (
        b'{"stream":"a\\n"}\r\n' + '{"stream":"ü"}\r\n'.encode()
    )
    broken = {"errorDetail": {"message": "a\udcff", "code": 1}}
    assert encode([broken]) == '{"errorDetail":{"message":"a�","code":1}}\r\n'.encode()


@pytest.mark.parametrize(
    ("current", "total", "bar"),
    [
        (0, 2000, "[>" + " " * 50 + "]       0B/2kB"),
        (1000, 2000, "[" + "=" * 25 + ">" + " " * 25 + "]      1kB/2kB"),
        (1234567, 1234567, "[" + "=" * 50 + ">]  1.235MB/1.235MB"),
    ],
)
def test_bars(current: int, total: int, bar: str) -> None:
    assert drawing.progress_bar(current, total) == bar
