"""The habits of the repository, checked: generated pages, a test for each file, sizes, and what must not be said.

The allow-lists in here only shrink.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts import generate_docs

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "spectra"
TESTS = ROOT / "tests"

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60

# Source files without a test file of their own name, and the one that tests them: commands are tested as a user meets
# them, several of one noun together.
WITHOUT_OWN_TEST = {
    "cli/bench.py": "cli/test_docs.py",
    "cli/found.py": "cli/test_scan.py",
    "cli/help.py": "cli/test_docs.py",
    "cli/local.py": "cli/test_node.py",
    "cli/observations.py": "cli/test_records.py",
    "cli/pages.py": "cli/test_docs.py",
    "cli/problems.py": "cli/test_main.py",
    "cli/progress.py": "cli/test_terminal.py",
    "cli/provenance.py": "cli/test_records.py",
    "cli/sending.py": "cli/test_imports.py",
    "cli/workflows.py": "cli/test_records.py",
    "model/envelope.py": "identity/test_payload.py",
    "model/observation.py": "store/test_content.py",
    "model/diffs.py": "store/test_diff.py",
    "store/details.py": "store/test_diff.py",
    "store/hostdiff.py": "store/test_diff.py",
    "store/scanviews.py": "store/test_scandiff.py",
}
# Functions longer than the bound, and why they are not cut.
LONG_FUNCTIONS: dict[str, str] = {}

# Hosts of package registries and paths of the machines this is developed on: neither belongs into what others read.
UNSAID = re.compile(
    "|".join(
        (
            r"pypi\.o" "rg",
            r"pythonhosted\.o" "rg",
            r"registry\.npmjs",
            r"proxy\.golang",
            r"(?<![\w.])/wo" r"rk/",
            r"\.py" "env",
        )
    )
)
MAY_SAY = {"uv.lock"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    """Every Python file of the package."""
    return sorted(SOURCE.rglob("*.py"))


def checks() -> list[Path]:
    """Every test file."""
    return sorted(TESTS.rglob("test_*.py"))


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, at whatever depth."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, Function):
            yield node


def tracked() -> list[Path]:
    """The files git knows; skips where this is no checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("page", generate_docs.documents(), ids=lambda p: p.name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """What stands between the markers is what the code says now; `make docs` writes it."""
    text = page.read_text("utf-8")
    assert generate_docs.renewed(text) == text, "run: make docs"


def test_every_setting_and_metric_is_in_the_handbook() -> None:
    """The handbook has the generated tables at all."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert generate_docs.settings() in text
    assert generate_docs.metrics() in text


def _own_test(path: Path) -> Path:
    """`store/graph.py` is tested by `tests/store/test_graph.py`, a package's `__init__` by `test_init.py`."""
    inside = path.relative_to(SOURCE)
    name = "init" if inside.stem == "__init__" else inside.stem.strip("_")
    return TESTS / inside.parent / f"test_{name}.py"


def _has_code(path: Path) -> bool:
    """Whether there is something to test: a function. Names, nouns and re-exports say what they are."""
    return any(functions(path))


def test_every_source_file_has_its_test() -> None:
    """Who changes a file knows where its tests are; exceptions say what tests them instead."""
    missing = {p.relative_to(SOURCE).as_posix() for p in sources() if _has_code(p) and not _own_test(p).exists()}
    assert sorted(missing - WITHOUT_OWN_TEST.keys()) == [], "without a test file"
    assert sorted(WITHOUT_OWN_TEST.keys() - missing) == [], "has its test now: take it off the list"
    assert not [name for name in WITHOUT_OWN_TEST.values() if not (TESTS / name).is_file()]


def test_every_test_says_what_it_proves() -> None:
    """A test without a docstring is one nobody dares to change."""
    silent = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in checks()
        for function in functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert not silent


def test_files_are_short() -> None:
    """A file that outgrows the bound is two rooms in one."""
    long = {
        p.relative_to(ROOT).as_posix() for p in sources() if len(p.read_text("utf-8").splitlines()) > MAX_FILE_LINES
    }
    assert not long


def test_functions_are_short() -> None:
    """A function that outgrows the bound says why, or is cut."""
    long: set[str] = set()
    for path in sources():
        for function in functions(path):
            if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION_LINES:
                long.add(f"{path.relative_to(SOURCE).as_posix()}:{function.name}")
    assert not long - LONG_FUNCTIONS.keys()
    assert not LONG_FUNCTIONS.keys() - long, "short now: take it off the list"


def test_make_alone_lists_every_target() -> None:
    """`make` prints a line for each target that is not a file."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == declared[1].split()


def test_no_registry_and_no_machine_is_named() -> None:
    """What is published works anywhere: only the lock file names where packages come from."""
    for path in tracked():
        if path.relative_to(ROOT).as_posix() in MAY_SAY:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # not a text
            continue
        found = UNSAID.search(text)
        assert not found, f"{path.relative_to(ROOT)} says {found[0]}"
