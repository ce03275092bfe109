"""Reading patterns. A pattern is a folder: `pattern.yaml` (sections and tables), `system.md` (what a model is told),
`schema.json` (what its answer looks like) and tests in `examples/*.json`. What is wrong is told with file and line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, cast

import msgspec
from msgspec import Meta

from spectra.ai.patterns import answers, schemas
from spectra.ai.patterns.answers import Plan
from spectra.errors import SetupError
from spectra.model.reports import MAX_SECTIONS, PATTERN_NAME, Form, PatternRecord, Table
from spectra.model.yamlnodes import Reader, at

BUILT_IN: Final = Path(__file__).parent
DEFAULT: Final = "full"
"""The pattern of a target whose newest scan is of no kind that another one is for."""
MAX_FILE: Final = 64 * 1024
MAX_PATTERNS: Final = 200
MAX_EXAMPLES: Final = 32
WRITERS: Final = (
    *("summary", "risks", "steps", "exposure", "web", "names"),
    *("certificates", "weaknesses", "changes", "controls", "none"),
)
"""What writes a section where no model does; `none`: it is left out then."""
_FILES: Final = ("pattern.yaml", "system.md", "schema.json")

Writer = Annotated[str, Meta(pattern=rf"^({'|'.join(WRITERS)})$")]


class BadPattern(SetupError):
    """A pattern that does not hold; the message begins with `FILE:LINE`."""

    reason = "bad_pattern"


_READER: Final = Reader(BadPattern, depth=16)


class SectionPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section: its key in the answer, its title, how it is shown, and what writes it where no model does."""

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,30}$")]
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    form: Form = "list"
    rules: Writer = "none"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`pattern.yaml`."""

    title: Annotated[str, Meta(min_length=1, max_length=80)]
    purpose: Annotated[str, Meta(min_length=1, max_length=400)]
    scans: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    sections: Annotated[tuple[SectionPlan, ...], Meta(min_length=1, max_length=MAX_SECTIONS)]
    tables: Annotated[tuple[Table, ...], Meta(max_length=12)] = ("figures",)
    changes_days: Annotated[int, Meta(ge=1, le=366)] = 30
    context_bytes: Annotated[int, Meta(ge=2048, le=64 * 1024)] = 16 * 1024


class ExampleFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact of an example."""

    ref: Annotated[str, Meta(pattern=r"^F[0-9]{1,5}$")]
    record: str
    text: str = ""


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test of a pattern: an answer (an object, or the very text) to facts, and whether it holds; if not, `reasons`
    are parts of what is said about it.
    """

    proves: Annotated[str, Meta(min_length=1)]
    facts: tuple[ExampleFact, ...]
    answer: Any
    holds: bool = True
    reasons: tuple[str, ...] = ()


class Pattern(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A pattern that was read and holds."""

    name: str
    title: str
    purpose: str
    scans: tuple[str, ...]
    sections: tuple[SectionPlan, ...]
    tables: tuple[Table, ...]
    changes_days: int
    context_bytes: int
    system: str
    schema: dict[str, Any]
    examples: tuple[tuple[str, Example], ...] = ()
    built_in: bool = False

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """Its sections, as answers are read."""
        return tuple(Plan(one.id, one.title, one.form) for one in self.sections)

    @property
    def record(self) -> PatternRecord:
        """As it is listed."""
        return PatternRecord(
            name=self.name,
            title=self.title,
            purpose=self.purpose,
            scans=self.scans,
            sections=tuple(section.id for section in self.sections),
            shown=self.tables,
            built_in=self.built_in,
            examples=len(self.examples),
        )


class Checked(NamedTuple):
    """What the tests of a pattern found: how many there were, and what did not come out as they say."""

    examples: int
    problems: tuple[str, ...]


def places(configuration: Path, extra: Path | None = None) -> tuple[Path, ...]:
    """The folders that a user's patterns are in: `patterns/` of `configuration`, where there is one, and `extra`."""
    own = configuration / "patterns"
    return (*([own] if own.is_dir() else []), *([extra] if extra else []))


def load(folders: Iterable[Path] = ()) -> dict[str, Pattern]:
    """The patterns by name: the built-in ones, then those of each folder, later ones over earlier ones.

    Raises `BadPattern` for the first that does not hold, and where a folder cannot be read.
    """
    found: dict[str, Pattern] = {}
    for folder in (BUILT_IN, *folders):
        for path in _patterns(folder):
            found[path.name] = folder_of(path, built_in=folder == BUILT_IN)
    return dict(sorted(found.items()))


def folder_of(path: Path, *, built_in: bool = False) -> Pattern:
    """The pattern in a folder. Raises `BadPattern`."""
    files = {name: _text(path / name) for name in _FILES if (path / name).exists()}
    examples = sorted((path / "examples").glob("*.json")) if (path / "examples").is_dir() else []
    files |= {f"examples/{one.name}": _text(one) for one in examples[: MAX_EXAMPLES + 1]}
    return read(path.name, files, f"{path}/", built_in=built_in)


def read(name: str, files: Mapping[str, str], place: str = "", *, built_in: bool = False) -> Pattern:
    """The pattern `name` of the texts of its files; `place` goes before their names in what is said of them. Raises
    `BadPattern`.
    """
    if not re.match(PATTERN_NAME, name):
        raise BadPattern(f"{place or name}: the name of a pattern is of small letters, digits and hyphens, at most 41")
    for wanted in _FILES:
        if not files.get(wanted, "").strip():
            raise BadPattern(f"{place}{wanted}:1: the file is missing or empty")
        if len(files[wanted]) > MAX_FILE:
            raise BadPattern(f"{place}{wanted}:1: larger than {MAX_FILE} characters")
    plan, node = _READER.converted(files["pattern.yaml"], _File, f"{place}pattern.yaml")
    ids = [section.id for section in plan.sections]
    if again := [number for number, one in enumerate(ids) if one in ids[:number]]:
        where = at(node, f".sections[{again[0]}].id")
        raise _READER.bad(f"{place}pattern.yaml", where, f"the section `{ids[again[0]]}` stands here twice")
    return Pattern(
        name=name,
        system=files["system.md"].strip(),
        schema=_schema(files["schema.json"], f"{place}schema.json", ids),
        examples=_examples(files, place),
        built_in=built_in,
        **msgspec.structs.asdict(plan),
    )


def check(pattern: Pattern) -> Checked:
    """Run the tests of a pattern."""
    wrong: list[str] = []
    for name, example in pattern.examples:
        text = example.answer if isinstance(example.answer, str) else msgspec.json.encode(example.answer).decode()
        found = answers.read(
            text, pattern.plans, pattern.schema, {fact.ref: fact.record for fact in example.facts}
        ).reasons
        said = " ".join(found)
        if example.holds and found:
            wrong.append(f"{name}:1: `{example.proves}`: the answer does not hold: {said}")
        elif not example.holds and not found:
            wrong.append(f"{name}:1: `{example.proves}`: the answer holds")
        wrong += [
            f"{name}:1: `{example.proves}`: nothing is said of `{part}`, but: {said}"
            for part in example.reasons
            if part not in said
        ]
    return Checked(len(pattern.examples), tuple(wrong))


def suited(patterns: Mapping[str, Pattern], scan_types: Iterable[str]) -> Pattern:
    """The pattern for the first of these kinds of scan that there is one for, else the default."""
    for kind in scan_types:
        for pattern in patterns.values():
            if kind in pattern.scans:
                return pattern
    return patterns[DEFAULT]


def _patterns(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir() and (path / "pattern.yaml").exists())
    except OSError as error:
        raise BadPattern(f"cannot read the patterns in {folder}: {error.strerror or error}") from error
    if len(found) > MAX_PATTERNS:
        raise BadPattern(f"{folder}: more than {MAX_PATTERNS} patterns")
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_FILE * 4 + 4).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadPattern(f"{path}:1: it cannot be read: {error}") from error


def _schema(text: str, name: str, sections: list[str]) -> dict[str, Any]:
    node = _READER.composed(text, name)
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadPattern(f"{name}:{error.lineno}: it is not JSON: {error.msg}") from error
    for path, what in schemas.unsound(schema):
        raise _READER.bad(name, at(node, path), what)
    known = cast("dict[str, Any]", schema)
    properties: dict[str, Any] = known.get("properties", {})
    if known.get("type") != "object" or list(properties) != sections:
        said = f"the answer is an object of the sections of pattern.yaml in their order: {', '.join(sections)}"
        raise _READER.bad(name, at(node, ".properties"), said)
    for section, shape in properties.items():
        below: dict[str, Any] = shape.get("items", {})
        named = set(below.get("properties", {}))
        if shape.get("type") != "array" or not {"text", "cites"} <= named <= _OF_STATEMENTS:
            said = (
                f"`{section}` is an array of objects with `text` and `cites`, and perhaps `title`, `weight`, `verdict`"
            )
            raise _READER.bad(name, at(node, f".properties.{section}"), said)
    return known


_OF_STATEMENTS: Final = {"text", "cites", "title", "weight", "verdict"}


def _examples(files: Mapping[str, str], place: str) -> tuple[tuple[str, Example], ...]:
    named = sorted(name for name in files if name.startswith("examples/") and name.endswith(".json"))
    if len(named) > MAX_EXAMPLES:
        raise BadPattern(f"{place}examples: more than {MAX_EXAMPLES} tests")
    return tuple((f"{place}{name}", _READER.converted(files[name], Example, f"{place}{name}")[0]) for name in named)
