"""Variables in a whole instruction, by the rules of each kind. No IO."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from pierhead.build.dockerfile import words
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import (
    Add,
    Arg,
    ArgPair,
    Env,
    Expose,
    Files,
    Heredoc,
    Instruction,
    Label,
    Pair,
    SourceText,
    StopSignal,
    User,
    Volume,
    Workdir,
)

AnyInstruction = TypeVar("AnyInstruction", bound=Instruction)

_Expander = Callable[[str], str]


def instruction(
    item: AnyInstruction,
    lookup: Mapping[str, str],
    *,
    escape: str = "\\",
    unmatched: set[str] | None = None,
    source: SourceText | None = None,
) -> AnyInstruction:
    """The same with every word expanded that Docker expands (quotes and escapes go).

    RUN, CMD and ENTRYPOINT stay as they are (their shell expands; RUN's mounts are for
    ``mounts.parse``), as do MAINTAINER, SHELL, HEALTHCHECK, ONBUILD and ``COPY --from``. COPY's
    and ADD's heredocs are expanded where they are not quoted. EXPOSE's words are split after
    expansion. ARG's defaults see what stands before them in the same instruction.
    ``BuildError`` at the instruction's place (``source`` is for its excerpt).
    """

    def word(text: str) -> str:
        return words.expand(text, lookup, escape=escape, unmatched=unmatched)

    try:
        changed = _changed(item, lookup, word, escape, unmatched)
    except words.WordError as error:
        raise BuildError(str(error), item.location, source) from error
    return cast(AnyInstruction, changed)


def arg_pairs(
    pairs: tuple[ArgPair, ...],
    lookup: Mapping[str, str],
    *,
    given: Mapping[str, str] | None = None,
    escape: str = "\\",
    unmatched: set[str] | None = None,
) -> tuple[ArgPair, ...]:
    """ARG's pairs with their defaults expanded, one after the other; ``given`` (build args) wins.

    ``WordError``; what is given is not expanded, and a default that isn't used can't fail.
    """
    known = dict(lookup)
    done = []
    for pair in pairs:
        value = pair.value
        if given is not None and pair.key in given:
            value = given[pair.key]
        elif value is not None:
            value = words.expand(value, known, escape=escape, unmatched=unmatched)
        if value is not None:
            known[pair.key] = value
        done.append(dataclasses.replace(pair, value=value))
    return tuple(done)


def _changed(
    item: Instruction,
    lookup: Mapping[str, str],
    word: _Expander,
    escape: str,
    unmatched: set[str] | None,
) -> Instruction:
    match item:
        case Env() | Label():
            return dataclasses.replace(item, pairs=_pairs(item.pairs, word))
        case Arg():
            return dataclasses.replace(
                item, pairs=arg_pairs(item.pairs, lookup, escape=escape, unmatched=unmatched)
            )
        case Files():
            return _files(item, lookup, word, unmatched)
        case Expose():
            ports = [
                port
                for text in item.ports
                for port in words.expand_words(text, lookup, escape=escape, unmatched=unmatched)
            ]
            return dataclasses.replace(item, ports=tuple(ports))
        case User():
            return dataclasses.replace(item, user=word(item.user))
        case Workdir():
            return dataclasses.replace(item, path=word(item.path))
        case Volume():
            return dataclasses.replace(item, paths=tuple(word(path) for path in item.paths))
        case StopSignal():
            return dataclasses.replace(item, signal=word(item.signal))
        case _:
            return item


def _pairs(pairs: tuple[Pair, ...], word: _Expander) -> tuple[Pair, ...]:
    """All by the environment from before the instruction: ``ENV a=1 b=$a`` has the old ``a``."""
    return tuple(
        Pair(key=word(pair.key), value=word(pair.value), legacy=pair.legacy) for pair in pairs
    )


def _files(
    item: Files, lookup: Mapping[str, str], word: _Expander, unmatched: set[str] | None
) -> Files:
    common = {
        "sources": tuple(word(path) for path in item.sources),
        "destination": word(item.destination),
        "chown": word(item.chown),
        "chmod": word(item.chmod),
        "inline": tuple(_inline(heredoc, lookup, unmatched) for heredoc in item.inline),
    }
    if isinstance(item, Add):
        common["checksum"] = word(item.checksum)
    return dataclasses.replace(item, **common)  # type: ignore[arg-type]  # each is its field's


def _inline(heredoc: Heredoc, lookup: Mapping[str, str], unmatched: set[str] | None) -> Heredoc:
    """Its text, ``<<-`` applied. Quotes are letters there, and the escape is always "\\"."""
    text = heredoc.text
    if heredoc.expand:
        lexed = words.lex(text, lookup, skip_quotes=True)
        text = lexed.text
        if unmatched is not None:
            unmatched |= lexed.unmatched
    return dataclasses.replace(heredoc, content=text, chomp=False, expand=False)
