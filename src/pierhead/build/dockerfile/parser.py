"""Text to stages of instructions. No IO but ``include``.

``INCLUDE path`` stands for the instructions of another file, as if they were written there (FROM
among them). It is ours, and there only below ``# pier: include``; paths are those of the build
context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.instructions import (
    UnknownInstruction,
    instruction_of,
    stage_of,
)
from pierhead.build.dockerfile.lines import LineError, Node, Parsed, parse_line, parse_lines
from pierhead.build.dockerfile.model import (
    Arg,
    Dockerfile,
    Instruction,
    ParserWarning,
    Range,
    SourceText,
    Stage,
)
from pierhead.errors import PierError

MAX_INCLUDES = 100
MAX_INCLUDE_DEPTH = 16
MAX_BYTES = 16 << 20
"""Of a Dockerfile with all that it includes."""

Include = Callable[[str], bytes]


def parse(data: bytes, *, name: str = "Dockerfile", include: Include | None = None) -> Dockerfile:
    """``BuildError`` with BuildKit's words, place and suggestion.

    ``include`` reads a file of the context for ``INCLUDE path`` (under ``# pier: include``); it
    may raise ``PierError``.
    """
    return _Parser(data, name, include).parse()


def parse_instruction(
    text: str, *, escape: str = "\\", location: Range | None = None
) -> Instruction:
    """One instruction with its heredocs: an ONBUILD trigger of a base image, or ``--change``.

    ``BuildError`` for what can't be parsed.
    """
    source = SourceText("", text.encode("utf-8", "surrogateescape"))
    try:
        if escape != "\\" and "\n" not in text:
            nodes = [parse_line(text, escape)]
        else:
            nodes = parse_lines(source.data).nodes
        if len(nodes) != 1:
            raise LineError("onbuild trigger should be a single expression")
        if nodes[0].name == "FROM":
            raise LineError("FROM is not a command type")
        found = instruction_of(nodes[0])
    except ValueError as error:
        raise BuildError(str(error), location, None if location else source) from error
    return dataclasses.replace(found, location=location) if location else found


class _Parser:
    def __init__(self, data: bytes, name: str, include: Include | None) -> None:
        self.data = data
        self.name = name
        self.include = include
        self.included: dict[str, bytes] = {}
        self.count = 0
        self.args: list[Arg] = []
        self.stages: list[Stage] = []
        self.instructions: list[Instruction] = []
        self.warnings: list[ParserWarning] = []
        self.escape = "\\"
        self.features: frozenset[str] = frozenset()

    def parse(self) -> Dockerfile:
        if not self.data:
            raise self._error("the Dockerfile cannot be empty")
        if len(self.data) > MAX_BYTES:
            raise self._error(f"the Dockerfile has more than {MAX_BYTES} bytes")
        parsed = self._lines(self.data, "")
        directives = parsed.directives
        self.escape = directives.escape
        self.features = directives.pier_features
        self._add(parsed, "", ())
        self._close_stage()
        if not self.stages:
            raise self._error("dockerfile contains no stages to build")
        return Dockerfile(
            directives=dict(directives.found),
            directive_locations={
                name: Range(line, line) for name, line in directives.lines.items()
            },
            escape=self.escape,
            args=tuple(self.args),
            stages=tuple(self.stages),
            warnings=tuple(self.warnings),
            source=self._source(),
        )

    def _lines(self, data: bytes, file: str) -> Parsed:
        try:
            parsed = parse_lines(data)
        except LineError as error:
            location = Range(error.first, error.last, file)
            raise BuildError(str(error), location, self._source(), lexical=True) from error
        for warning in parsed.warnings:
            location = dataclasses.replace(warning.location, file=file)
            self.warnings.append(dataclasses.replace(warning, location=location))
        return parsed

    def _add(self, parsed: Parsed, file: str, above: tuple[str, ...]) -> None:
        for node in parsed.nodes:
            if node.name == "INCLUDE" and "include" in self.features:
                self._include(node, file, above)
                continue
            location = Range(node.first, node.last, file)
            try:
                if node.name == "FROM":
                    stage = stage_of(node, file)
                    self._close_stage()
                    self.stages.append(stage)
                    continue
                instruction = instruction_of(node, file)
            except ValueError as error:
                message = f"dockerfile parse error on line {node.first}: {error}"
                if isinstance(error, UnknownInstruction) and node.name == "INCLUDE":
                    message += " (INCLUDE needs '# pier: include' at the top of the Dockerfile)"
                raise self._error(message, location) from error
            if self.stages:
                self.instructions.append(instruction)
            elif isinstance(instruction, Arg):
                self.args.append(instruction)
            else:
                raise self._error("no build stage in current context", location)

    def _close_stage(self) -> None:
        if self.stages:
            self.stages[-1] = dataclasses.replace(
                self.stages[-1], instructions=tuple(self.instructions)
            )
        self.instructions = []

    def _include(self, node: Node, file: str, above: tuple[str, ...]) -> None:
        location = Range(node.first, node.last, file)
        path = " ".join(node.args)

        def fault(message: str) -> BuildError:
            return self._error(
                f"dockerfile parse error on line {node.first}: INCLUDE {message}", location
            )

        if node.flags:
            raise fault(f"takes no flags: {node.flags[0]}")
        if not path or len(path.split()) != 1:
            raise fault("requires exactly one argument")
        if "$" in path:
            raise fault("doesn't expand variables: files are read before ARGs have values")
        if self.include is None:
            raise fault("needs a build context to read from")
        if path in above or len(above) >= MAX_INCLUDE_DEPTH:
            raise fault(f"of {path} goes round in circles: {' → '.join([*above, path])}")
        self.count += 1
        if self.count > MAX_INCLUDES:
            raise fault(f"is used more than {MAX_INCLUDES} times")
        try:
            data = self.included[path] if path in self.included else self.include(path)
        except PierError as error:
            raise fault(f"{path}: {error.message}") from error
        self.included[path] = data
        if len(self.data) + sum(map(len, self.included.values())) > MAX_BYTES:
            raise fault(f"brings more than {MAX_BYTES} bytes")
        parsed = self._lines(data, path)
        if parsed.directives.escape != self.escape:
            raise fault(f"of {path}, which has another escape directive than {self.name}")
        self._add(parsed, path, (*above, path))

    def _source(self) -> SourceText:
        return SourceText(self.name, self.data, dict(self.included))

    def _error(self, message: str, location: Range | None = None) -> BuildError:
        return BuildError(message, location, self._source())
