"""Tables, JSON lines, CSV and files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectra.cli.output import Column, Format, Target, choose, emit, replaced
from spectra.errors import BadRequest, SetupError

ROW: dict[str, object] = {
    "ip": "192.0.2.1",
    "port": 22,
    "names": ("a", "b"),
    "banner": "=cmd|' /C calc'!A0\x1b[2J\u202e",
    "tls": True,
}
COLUMNS: list[Column[dict[str, object]]] = [
    Column(name, lambda row, name=name: row[name], flexible=name == "banner") for name in ROW
]


def test_json_lines_are_whole_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Without fields a row is written as it is; nothing in it acts on the terminal."""
    assert emit([ROW, ROW], COLUMNS, Target(Format.JSON)) == 2
    out = capsys.readouterr().out
    first, second = out.splitlines()
    assert json.loads(first) == json.loads(second) == {**ROW, "names": ["a", "b"]}
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_fields_choose_and_order(capsys: pytest.CaptureFixture[str]) -> None:
    """`--fields` holds for JSON and CSV alike."""
    emit([ROW], COLUMNS, Target(Format.JSON, ("port", "ip")))
    emit([ROW], COLUMNS, Target(Format.CSV, ("port", "ip")))
    assert capsys.readouterr().out.splitlines() == ['{"port":22,"ip":"192.0.2.1"}', "port,ip", "22,192.0.2.1"]


def test_csv_is_read_back_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has a header, quotes what needs it and defuses formulas."""
    emit([ROW], COLUMNS, Target(Format.CSV))
    out = capsys.readouterr().out
    assert out.count("\r\n") == 2  # RFC 4180 section 2
    header, row = list(csv.reader(out.splitlines()))
    assert header == list(ROW)
    assert row == ["192.0.2.1", "22", "a, b", r"'=cmd|' /C calc'!A0\x1b[2J\u202e", "yes"]


def test_an_unknown_field_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in `--fields` is answered with the fields there are."""
    with pytest.raises(BadRequest, match="'prot'") as error:
        choose(COLUMNS, Target(Format.CSV, ("prot",)))
    assert "Did you mean port? Fields: ip, port" in error.value.hint


def test_two_formats_exclude_each_other() -> None:
    """`--json --csv` is a slip, not a guess."""
    with pytest.raises(BadRequest):
        Target.of(json=True, csv=True)


@pytest.mark.parametrize(
    ("name", "format"), [("a.csv", "csv"), ("a.jsonl", "json"), ("a.json", "json"), ("a.txt", "table")]
)
def test_the_ending_decides(name: str, format: str) -> None:
    """Where no option says the format, the file's name does; an option is stronger."""
    assert Target.of(path=Path(name)).format == format
    assert Target.of(path=Path(name), json=True).format == "json"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failure half-way leaves the earlier file and nothing beside it."""
    path = tmp_path / "out.csv"
    path.write_text("before")

    def rows() -> Iterator[dict[str, object]]:
        yield ROW
        raise BadRequest("cut off")

    with pytest.raises(BadRequest):
        emit(rows(), COLUMNS, Target(Format.CSV, (), path))
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    assert path.read_text() == "before"
    emit([ROW], COLUMNS, Target(Format.CSV, (), path))
    assert path.read_text().startswith("ip,port")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """No folder, no file: the error says which."""
    with pytest.raises(SetupError, match="absent"), replaced(tmp_path / "absent" / "x"):
        pass


def test_table_cells_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like rich's markup or an emoji code is printed as it is."""
    emit([{**ROW, "banner": "[red]x[/] :bomb:"}], COLUMNS, Target())
    assert "[red]x[/] :bomb:" in capsys.readouterr().out
