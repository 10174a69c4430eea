"""``--label`` in the classic builder: LABEL instructions behind the last one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pierhead.build.dockerfile.model import Range
from pierhead.build.plan import texts
from pierhead.build.plan.config import ConfigState
from pierhead.build.plan.model import Step


def steps(labels: Mapping[str, str], state: ConfigState, location: Range) -> list[Step]:
    """One step for each label, by name."""
    found = []
    for key in sorted(labels):
        text = state.set_labels([(key, labels[key])])
        found.append(
            Step(
                op=None,
                name="",
                instruction=f"LABEL {key}={labels[key]}",
                location=location,
                created_by=texts.nop(text, state.run.shell),
                empty_layer=True,
                config=state.snapshot(),
                author=state.author,
                text=text,
            )
        )
    return found
