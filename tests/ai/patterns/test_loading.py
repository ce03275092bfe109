"""Patterns: the built-in ones hold and pass their own tests; what is wrong in a user's is told with file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spectra.ai.patterns import loading
from spectra.ai.patterns.loading import BadPattern
from spectra.model.reports import PATTERN_NAME

PATTERNS = loading.load()


def files_of(name: str) -> dict[str, str]:
    """The files of a built-in pattern."""
    folder = loading.BUILT_IN / name
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.*")}


def test_there_is_one_for_each_kind_of_scan_and_purpose() -> None:
    """No two are for the same kind of scan."""
    assert set(PATTERNS) == {
        *("discovery", "web", "services", "full", "bbot-subdomains", "bbot-web"),
        *("vulnerabilities", "change", "executive", "compliance"),
    }
    kinds = [kind for pattern in PATTERNS.values() for kind in pattern.scans]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_built_in_patterns_pass_their_tests(name: str) -> None:
    """Each has tests of answers that hold and of such that do not, and treats facts as data."""
    pattern = PATTERNS[name]
    assert pattern.built_in
    assert loading.check(pattern) == (len(pattern.examples), ())
    assert {example.holds for _, example in pattern.examples} == {True, False}
    assert "never instructions" in " ".join(pattern.system.split())
    assert all(f"`{section.id}`" in pattern.system for section in pattern.sections)
    assert pattern.record.sections == tuple(section.id for section in pattern.sections)


def test_users_patterns_come_over_the_built_in_ones(tmp_path: Path) -> None:
    """Those of the configuration, then those of the folder that the settings name."""
    assert loading.places(tmp_path) == ()
    shutil.copytree(loading.BUILT_IN / "web", tmp_path / "patterns" / "web")
    shutil.copytree(loading.BUILT_IN / "web", tmp_path / "more" / "shop")
    (tmp_path / "more" / "notes").mkdir()
    found = loading.load(loading.places(tmp_path, tmp_path / "more"))
    assert set(found) == set(PATTERNS) | {"shop"}
    assert (found["web"].built_in, found["shop"].built_in, found["full"].built_in) == (False, False, True)
    with pytest.raises(BadPattern, match="cannot read the patterns in"):
        loading.load([tmp_path / "nowhere"])


def test_a_target_gets_the_pattern_of_its_newest_scan() -> None:
    """The first kind that one is for; else the default."""
    assert loading.suited(PATTERNS, ["odd", "httpx", "discovery"]).name == "web"
    assert loading.suited(PATTERNS, ["odd"]).name == loading.DEFAULT


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("pattern.yaml", "title: Web exposure", "titel: Web exposure", "pattern.yaml:1: "),
        ("pattern.yaml", "form: risks", "form: risk", "pattern.yaml:8: "),
        ("pattern.yaml", "id: risks", "id: summary", "pattern.yaml:8: the section `summary` stands here twice"),
        ("pattern.yaml", "rules: web", "rules: magic", "pattern.yaml:7: "),
        ("pattern.yaml", "tables: [figures", "tables: [graphs", "pattern.yaml:10: "),
        ("system.md", "", None, "system.md:1: the file is missing or empty"),
        ("schema.json", '"type": "object"', '"type": "object",,', "schema.json:2: "),
        ("schema.json", '"surface": {', '"surfaces": {', "schema.json:3: the answer is an object of the sections"),
        ("schema.json", '"maxLength": 1200', '"pattern": "(a+)+"', "schema.json:14: `pattern` is not read"),
        ("schema.json", '"text": {', '"words": {', "schema.json:4: `summary` is an array of objects"),
        ("examples/good.json", '"proves"', '"shows"', "examples/good.json:1: "),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(file: str, old: str, new: str | None, said: str) -> None:
    """In each of its files."""
    files = files_of("web")
    if new is None:
        del files[file]
    else:
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)
    with pytest.raises(BadPattern) as caught:
        loading.read("mine", files, "p/")
    assert caught.value.message.startswith(f"p/{said}")


def test_files_and_folders_are_bounded(tmp_path: Path) -> None:
    """In size, number of tests, and names."""
    files = files_of("web")
    with pytest.raises(BadPattern, match=r"system.md:1: larger than"):
        loading.read("mine", files | {"system.md": "x" * (loading.MAX_FILE + 1)})
    with pytest.raises(BadPattern, match="more than 32 tests"):
        loading.read("mine", files | {f"examples/{n}.json": "{}" for n in range(40)})
    with pytest.raises(BadPattern, match="small letters"):
        loading.read("../x", files)
    assert PATTERN_NAME
    folder = tmp_path / "web"
    shutil.copytree(loading.BUILT_IN / "web", folder)
    (folder / "system.md").write_bytes(b"\xff\xfe")
    with pytest.raises(BadPattern, match=r"system.md:1: it cannot be read"):
        loading.folder_of(folder)


def test_tests_that_do_not_come_out_are_told() -> None:
    """An answer that should hold, one that should not, and a reason that is not given."""
    files = files_of("web")
    good, bad = files["examples/good.json"], files["examples/uncited.json"]
    files["examples/good.json"] = bad.replace('"holds": false', '"holds": true')
    files["examples/uncited.json"] = good.replace('"facts"', '"holds": false, "facts"', 1)
    files["examples/incomplete.json"] = files["examples/incomplete.json"].replace("is missing", "is purple")
    examples, problems = loading.check(loading.read("mine", files, "p/"))
    assert examples == 3
    assert [problem.partition(":")[0] for problem in problems] == [
        *("p/examples/good.json", "p/examples/incomplete.json", "p/examples/uncited.json"),
    ]
