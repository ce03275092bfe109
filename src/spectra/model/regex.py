r"""Regular expressions of the query language: a subset that means the same everywhere and cannot run away.

    regex      = branch *("|" branch)
    branch     = *(anchor / atom [repeat])
    anchor     = "^" / "$" / "\b" / "\B"
    atom       = character / "." / set / class / "(" ["?:"] regex ")"
    repeat     = ("*" / "+" / "?" / "{" m "}" / "{" m ",}" / "{" m "," n "}") ["?"]
    set        = "[" ["^"] 1*(character / character "-" character / class / "[:name:]") "]"
    class      = "\d" / "\w" / "\s" / "\D" / "\W" / "\S" (capital ones outside of sets)
    character  = any but those above / "\" punctuation / "\n" / "\t" / "\r"

What is left out could take long (back-references, repetition of repetition without bound), or means something else in
each dialect (options, look-around). `compiled` writes it in PostgreSQL's own dialect ("advanced regular expressions",
https://www.postgresql.org/docs/current/functions-matching.html#POSIX-SYNTAX-DETAILS).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

from spectra.errors import SpectraError

MAX_LENGTH: Final = 200
"""Characters of a pattern."""
MAX_REPEAT: Final = 100
"""The largest number in braces; PostgreSQL's own bound is 255."""
MAX_SIZE: Final = 500
"""Characters and sets once every repetition is written out: what building the automaton costs."""
MAX_DEPTH: Final = 10
MAX_RANGE: Final = 1000
"""Characters between the ends of a range in a set: PostgreSQL lists them all to ignore case."""


class RegexError(SpectraError):
    """A pattern that is refused; `at` is the offset (0-based, in characters) of what is wrong."""

    reason = "regex"

    def __init__(self, message: str, at: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.at = at


def compiled(pattern: str) -> str:
    """`pattern` in PostgreSQL's dialect, for `~*`; raises `RegexError`."""
    if len(pattern) > MAX_LENGTH:
        raise RegexError(f"the regex is {len(pattern)} characters long; {MAX_LENGTH} are allowed", MAX_LENGTH)
    part = _Pattern(pattern).whole()
    if part.size > MAX_SIZE:
        raise RegexError("the regex repeats too much", 0, "Use smaller numbers in braces.")
    return part.sql


class _Part(NamedTuple):
    """A piece of the pattern in PostgreSQL's dialect, and how many characters it stands for at most."""

    sql: str
    size: int


_REPEAT = re.compile(r"(?:([*+?])|\{([0-9]{1,3})(?:(,)([0-9]{1,3})?)?\})\??")
_CLASSES: Final = "dwsDWS"
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r"}
_POSIX = re.compile(r"\[:([a-z]+):\]")
_NAMED: Final = (
    "alnum",
    "alpha",
    "blank",
    "cntrl",
    "digit",
    "graph",
    "lower",
    "print",
    "punct",
    "space",
    "upper",
    "xdigit",
)


def _literal(character: str) -> str:
    """`character` as itself, whatever it means in a pattern."""
    return "\\" + character if character.isascii() and not character.isalnum() else character


class _Pattern:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> _Part:
        """All of it."""
        part = self._regex()
        if self._at < len(self._text):
            self._refuse("there is no group to close here", hint=r"Write \) for the character.")
        return part

    def _refuse(self, why: str, at: int | None = None, hint: str = "") -> NoReturn:
        raise RegexError(why, self._at if at is None else at, hint)

    def _ahead(self) -> str:
        """The next character; empty at the end."""
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._ahead()
        self._at += 1
        return character

    def _regex(self) -> _Part:
        branches = [self._branch()]
        while self._ahead() == "|":
            self._at += 1
            branches.append(self._branch())
        return _Part("|".join(b.sql for b in branches), sum(b.size for b in branches))

    def _branch(self) -> _Part:
        parts: list[_Part] = []
        while self._ahead() not in ("", "|", ")"):
            parts.append(self._anchor() or self._repeated(self._atom()))
        return _Part("".join(p.sql for p in parts), sum(p.size for p in parts))

    def _anchor(self) -> _Part | None:
        for written, sql in (("^", "^"), ("$", "$"), (r"\b", r"\y"), (r"\B", r"\Y")):
            if self._text.startswith(written, self._at):
                self._at += len(written)
                if _REPEAT.match(self._text, self._at):
                    self._refuse(f'there is nothing to repeat after "{written}"')
                return _Part(sql, 0)
        return None

    def _atom(self) -> _Part:
        at = self._at
        character = self._take()
        if character == "(":
            return self._group(at)
        if character == "[":
            return self._set(at)
        if character == "\\":
            return _Part(self._escape(at), 1)
        if character in "*+?{":
            self._refuse(f'there is nothing to repeat before "{character}"', at, f"Write \\{character} as itself.")
        return _Part("." if character == "." else _literal(character), 1)

    def _repeated(self, atom: _Part) -> _Part:
        """`atom` with what repeats it. Lazy repetition finds the same texts, so its mark is left out."""
        found = _REPEAT.match(self._text, self._at)
        if found is None:
            if self._ahead() == "{":
                self._refuse("this is no number of repetitions", hint=r"Write {2} or {2,5}, or \{ for the character.")
            return atom
        sign, least, comma, most = found.groups()
        low = int(least or 0)
        high = int(most) if most else low
        if max(low, high) > MAX_REPEAT:
            self._refuse(f"at most {MAX_REPEAT} repetitions are allowed")
        if high < low:
            self._refuse(f"{low} is more than {high}")
        self._at = found.end()
        if _REPEAT.match(self._text, self._at):
            self._refuse("this repeats a repetition", hint="Put what is repeated in parentheses.")
        written = sign or f"{{{low}{comma or ''}{most or ''}}}"
        return _Part(f"(?:{atom.sql}){written}" if atom.size != 1 else atom.sql + written, atom.size * max(high, 1) + 1)

    def _group(self, at: int) -> _Part:
        if self._depth >= MAX_DEPTH:
            self._refuse("the groups are nested too deep", at)
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._ahead() == "?":
            self._refuse("look-around and options are not part of the language", at)
        self._depth += 1
        part = self._regex()
        self._depth -= 1
        if self._take() != ")":
            self._refuse("the group is never closed", at, r"Write \( for the character.")
        return _Part(f"(?:{part.sql})", part.size)

    def _escape(self, at: int, *, within: bool = False) -> str:
        """What a backslash and the next character mean; `within` a set."""
        character = self._take()
        if not character:
            self._refuse("the backslash stands at the end", at, r"Write \\ for the character.")
        if character in _CLASSES[: 3 if within else 6]:
            return "\\" + character
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isdigit():
            self._refuse("back-references are not part of the language", at)
        if character.isalnum() or character == "_":
            self._refuse(f'"\\{character}" has no meaning here', at)
        return _literal(character)

    def _set(self, at: int) -> _Part:
        sql = "["
        if self._ahead() == "^":
            sql += self._take()
        first = self._at
        while (character := self._ahead()) != "]" or self._at == first:
            if not character:
                self._refuse("the set is never closed", at, r"Write \[ for the character.")
            sql += self._named() or self._range()
        self._at += 1
        return _Part(sql + "]", 1)

    def _named(self) -> str:
        """A class such as `[:alpha:]` inside a set, or nothing."""
        found = _POSIX.match(self._text, self._at)
        if found is None:
            return ""
        if found[1] not in _NAMED:
            self._refuse(f'there is no class "{found[0]}"', hint=f"Classes are {', '.join(_NAMED)}.")
        self._at = found.end()
        return found[0]

    def _range(self) -> str:
        """A character of a set, or all from one to another."""
        at = self._at
        low = self._member()
        if not (self._ahead() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]")):
            return low
        self._at += 1
        high = self._member()
        width = ord(high[-1]) - ord(low[-1])
        if _is_class(low) or _is_class(high):
            self._refuse("a class is no end of a range", at)
        if width < 0:
            self._refuse("the range is empty", at, "Write the smaller character first.")
        if width > MAX_RANGE:
            self._refuse("the range is too large", at)
        return f"{low}-{high}"

    def _member(self) -> str:
        at = self._at
        character = self._take()
        return self._escape(at, within=True) if character == "\\" else _literal(character)


def _is_class(member: str) -> bool:
    return len(member) == 2 and member[1] in _CLASSES
