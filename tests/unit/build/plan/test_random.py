"""Random Dockerfiles end in a plan or in an error that says where; never in a crash."""

from __future__ import annotations

import random

import pytest

from pierhead.errors import PierError

from .conftest import Make

LINES = (
    "FROM busybox", "FROM busybox AS a", "FROM a", "FROM scratch", "FROM $X AS b", "ARG X=busybox",
    "FROM --platform=$BUILDPLATFORM busybox", "FROM --platform=x/y/z/w busybox", "FROM b AS a",
    "ARG X", "ARG X=1 Y=$X", "ENV A=1 B=$A", "ENV A $X", "ENV =1", "RUN x $A", 'RUN ["a", "b"]',
    "RUN --mount=type=cache,target=/c x", "RUN --mount=from=a,target=/m x",
    "RUN --mount=type=bind,from=0 x", "RUN --mount=type=secret,id=$X x", "RUN --mount=type=$X x",
    "RUN --network=none x", "RUN --security=insecure x", "RUN <<E\nx\nE", "RUN <<E cat\n\xffx\nE",
    "COPY a b /c/", "COPY --from=a a /", "COPY --from=0 a /", "COPY --from=99 a /", "COPY a",
    "COPY --from=$X a /", "COPY <<E /x\n$A\nE", "COPY --parents ./a/./b /", "ADD a http://x/y /",
    "ADD --checksum=sha256:0 http://x/y /", "ADD git@x:y.git#z /", "WORKDIR x", "WORKDIR $A/..",
    "WORKDIR /", "USER $A", "USER a:b", "EXPOSE 80 1-2/udp $X", "EXPOSE 99999", "VOLUME /a $X",
    'VOLUME ["a"]', "CMD x", 'CMD ["y"]', "CMD", "ENTRYPOINT x", "HEALTHCHECK NONE", "LABEL a=$A",
    "HEALTHCHECK --interval=1s CMD x", 'SHELL ["s", "-c"]', "SHELL x", "STOPSIGNAL $X",
    "STOPSIGNAL 9", "ONBUILD RUN x", "ONBUILD COPY --from=a a /", "ONBUILD FROM x",
    "ONBUILD ONBUILD RUN x", "MAINTAINER m", "LABEL ${A:?no}=1", "ENV P=${A%%x*} Q=${A/b/c}",
)  # fmt: skip


@pytest.mark.parametrize("classic", [False, True])
def test_random_dockerfiles(plan: Make, classic: bool) -> None:
    dice = random.Random(7)
    planned = 0
    for _ in range(400):
        lines = dice.choices(LINES, k=dice.randint(1, 12))
        if dice.random() < 0.8:
            lines.insert(0, "FROM busybox AS a")
        try:
            plan("\n".join(lines) + "\n", classic=classic, target=dice.choice(["", "", "a"]))
        except PierError:
            continue
        planned += 1
    assert planned > 10
