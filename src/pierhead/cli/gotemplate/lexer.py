"""Tokens of Go's template language.

A port of the rules, not of the text, of ``text/template/parse``: the parser asks
for one token at a time because an error ends the stream where Go's would end it.
"""

from __future__ import annotations

from pierhead.cli.gotemplate.quoting import quote

SPACES = " \t\r\n"
KEYWORDS = frozenset(
    (
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "nil",
        "range",
        "template",
        "with",
    )
)

ERROR = "error"
EOF = "EOF"
TEXT = "text"
LEFT = "left"
RIGHT = "right"
SPACE = "space"
ASSIGN = "="
DECLARE = ":="
PIPE = "|"
STRING = "string"
RAW_STRING = "raw"
CHAR_CONSTANT = "char"
NUMBER = "number"
COMPLEX = "complex"
FIELD = "field"
VARIABLE = "variable"
IDENTIFIER = "identifier"
BOOL = "bool"
DOT = "."
LEFT_PAREN = "("
RIGHT_PAREN = ")"
PUNCTUATION = "punctuation"
# A keyword's kind is the keyword itself.


class Token:
    """``position`` counts code points from the start, ``line`` begins at 1."""

    __slots__ = ("kind", "line", "position", "text")

    def __init__(self, kind: str, position: int, text: str, line: int) -> None:
        self.kind = kind
        self.position = position
        self.text = text
        self.line = line

    def describe(self) -> str:
        """The token as Go prints it in ``unexpected ...``."""
        if self.kind == EOF:
            return "EOF"
        if self.kind == ERROR:
            return self.text
        if self.kind in KEYWORDS or self.kind == DOT:
            return f"<{self.text}>"
        if len(self.text.encode("utf-8", "surrogateescape")) > 10:
            return quote(self.text[:10]) + "..."
        return quote(self.text)


def is_word(char: str) -> bool:
    """Letters, digits and the underscore, in Unicode's sense."""
    return char == "_" or char.isalpha() or char.isdecimal()


class Lexer:
    """Hands out tokens of ``source``; after an ``ERROR`` only ``EOF`` follows."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._position = 0
        self._line = 1
        self._inside = False
        self._depth = 0

    def next(self) -> Token:
        """The next token."""
        if self._inside:
            return self._action()
        return self._text()

    # What surrounds actions

    def _take(self, kind: str, end: int) -> Token:
        start = self._position
        text = self._source[start:end]
        token = Token(kind, start, text, self._line)
        self._line += text.count("\n")
        self._position = end
        return token

    def _skip(self, end: int) -> None:
        self._line += self._source.count("\n", self._position, end)
        self._position = end

    def _error(self, message: str, start: int) -> Token:
        token = Token(ERROR, start, message, self._line)
        self._source = ""
        self._position = 0
        self._inside = False
        return token

    def _text(self) -> Token:
        while True:  # once more after every comment
            token = self._text_or_comment()
            if token is not None:
                return token

    def _text_or_comment(self) -> Token | None:
        source = self._source
        start = self._position
        opening = source.find("{{", start)
        if opening < 0:
            if start < len(source):
                return self._take(TEXT, len(source))
            return Token(EOF, start, "EOF", self._line)
        trims = self._left_trim(opening + 2)
        if opening > start:
            end = opening
            if trims:
                end = start + len(source[start:opening].rstrip(SPACES))
            if end > start:
                token = self._take(TEXT, end)
                self._skip(opening)
                return token
            self._skip(opening)
        after = opening + 2 + (2 if trims else 0)
        if source.startswith("/*", after):
            return self._comment(after)
        token = self._take(LEFT, opening + 2)
        self._skip(after)
        self._inside = True
        self._depth = 0
        return token

    def _comment(self, start: int) -> Token | None:
        self._skip(start)
        close = self._source.find("*/", start + 2)
        if close < 0:
            return self._error("unclosed comment", start)
        end = close + 2
        width = self._closing(end)
        if not width:
            return self._error("comment ends before closing delimiter", start)
        self._skip(self._after_closing(end, width))
        return None

    def _left_trim(self, at: int) -> bool:
        source = self._source
        return source.startswith("-", at) and source[at + 1 : at + 2] in (" ", "\t", "\r", "\n")

    def _closing(self, at: int) -> int:
        """The width of the right delimiter at ``at``: 2, 4 with a trim marker, 0 if none."""
        source = self._source
        if source.startswith("}}", at):
            return 2
        if source.startswith("-}}", at + 1) and source[at] in SPACES:
            return 4
        return 0

    def _after_closing(self, at: int, width: int) -> int:
        end = at + width
        if width == 4:
            while end < len(self._source) and self._source[end] in SPACES:
                end += 1
        return end

    def _right(self) -> Token:
        width = self._closing(self._position)
        after = self._after_closing(self._position, width)
        self._skip(self._position + width - 2)
        token = self._take(RIGHT, self._position + 2)
        self._skip(after)
        self._inside = False
        return token

    # What is inside actions

    def _action(self) -> Token:
        source = self._source
        start = self._position
        if self._closing(start):
            if self._depth == 0:
                return self._right()
            return self._error("unclosed left paren", start)
        if start >= len(source):
            return self._error("unclosed action", start)
        char = source[start]
        if char in SPACES:
            return self._spaces(start)
        if char == "=":
            return self._take(ASSIGN, start + 1)
        if char == ":":
            if not source.startswith("=", start + 1):
                return self._error("expected :=", start)
            return self._take(DECLARE, start + 2)
        if char == "|":
            return self._take(PIPE, start + 1)
        if char == '"':
            return self._quoted(STRING, '"', "unterminated quoted string")
        if char == "'":
            return self._quoted(CHAR_CONSTANT, "'", "unterminated character constant")
        if char == "`":
            end = source.find("`", start + 1)
            if end < 0:
                return self._error("unterminated raw quoted string", start)
            return self._take(RAW_STRING, end + 1)
        if char == "$":
            return self._name(VARIABLE, VARIABLE)
        # A dot at the very end is a number to Go, and a bad one.
        if char == "." and source[start + 1 : start + 2] not in ("", *"0123456789"):
            return self._name(FIELD, DOT)
        if char in ".+-" or "0" <= char <= "9":
            return self._number()
        if is_word(char):
            return self._word()
        if char == "(":
            self._depth += 1
            return self._take(LEFT_PAREN, start + 1)
        if char == ")":
            self._depth -= 1
            if self._depth < 0:
                return self._error("unexpected right paren", start)
            return self._take(RIGHT_PAREN, start + 1)
        if char.isascii() and char.isprintable():
            return self._take(PUNCTUATION, start + 1)
        return self._error(f"unrecognized character in action: {describe_rune(char)}", start)

    def _spaces(self, start: int) -> Token:
        source = self._source
        end = start
        while end < len(source) and source[end] in SPACES:
            end += 1
        if source.startswith("-}}", end):  # the last space belongs to the delimiter
            end -= 1
            if end == start:
                return self._right()
        return self._take(SPACE, end)

    def _quoted(self, kind: str, mark: str, complaint: str) -> Token:
        source = self._source
        end = self._position + 1
        while end < len(source):
            char = source[end]
            if char == "\\":
                end += 1
                if end >= len(source) or source[end] == "\n":
                    break
            elif char == "\n":
                break
            elif char == mark:
                return self._take(kind, end + 1)
            end += 1
        return self._error(complaint, self._position)

    def _ends_word(self, at: int) -> bool:
        char = self._source[at : at + 1]
        return not char or char in " \t\r\n.,|:)(" or self._source.startswith("}}", at)

    def _name(self, kind: str, bare: str) -> Token:
        start = self._position
        end = start + 1
        if self._ends_word(end):
            return self._take(bare, end)
        while end < len(self._source) and is_word(self._source[end]):
            end += 1
        if not self._ends_word(end):
            return self._error(f"bad character {describe_rune(self._source[end])}", start)
        return self._take(kind, end)

    def _word(self) -> Token:
        start = self._position
        end = start
        while end < len(self._source) and is_word(self._source[end]):
            end += 1
        if not self._ends_word(end):
            return self._error(f"bad character {describe_rune(self._source[end])}", start)
        word = self._source[start:end]
        if word in KEYWORDS:
            return self._take(word, end)
        if word in ("true", "false"):
            return self._take(BOOL, end)
        return self._take(IDENTIFIER, end)

    def _number(self) -> Token:
        start = self._position
        good, end = self._scan_number(start)
        if not good:
            return self._error(f"bad number syntax: {quote(self._source[start:end])}", start)
        if self._source[end : end + 1] in ("+", "-"):
            good, end = self._scan_number(end)
            if not good or self._source[end - 1] != "i":
                return self._error(f"bad number syntax: {quote(self._source[start:end])}", start)
            return self._take(COMPLEX, end)
        return self._take(NUMBER, end)

    def _scan_number(self, at: int) -> tuple[bool, int]:
        source = self._source
        length = len(source)

        def run(at: int, allowed: str) -> int:
            while at < length and source[at] in allowed:
                at += 1
            return at

        def one(at: int, allowed: str) -> int:
            return at + 1 if at < length and source[at] in allowed else at

        at = one(at, "+-")
        digits = "0123456789_"
        zero = one(at, "0")
        if zero > at:
            at = zero
            for letters, allowed in (
                ("xX", "0123456789abcdefABCDEF_"),
                ("oO", "01234567_"),
                ("bB", "01_"),
            ):
                after = one(at, letters)
                if after > at:
                    at, digits = after, allowed
                    break
        at = run(at, digits)
        point = one(at, ".")
        if point > at:
            at = run(point, digits)
        for exponent, needed in (("eE", 11), ("pP", 23)):
            after = one(at, exponent) if len(digits) == needed else at
            if after > at:
                at = run(one(after, "+-"), "0123456789_")
        at = one(at, "i")
        if at < length and is_word(source[at]):
            return False, at + 1
        return True, at


def describe_rune(char: str) -> str:
    """Go's ``%#U``: ``U+0040 '@'``."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        code, char = 0xFFFD, "\ufffd"
    return f"U+{code:04X} '{char}'" if char.isprintable() else f"U+{code:04X}"
