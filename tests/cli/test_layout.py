"""Tables fit the terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from spectra.cli.layout import GAP, MAX_FLEXIBLE, MIN_FLEXIBLE, Slot, fit, lines

SLOTS = (
    Slot("address"),
    Slot("port", right=True),
    Slot("product", flexible=True),
    Slot("says", flexible=True, optional=True),
)


def plain(width: int, *rows: tuple[str, ...]) -> list[str]:
    """The lines of a table of `SLOTS`."""
    return [line.plain for line in lines(SLOTS, [[Text(cell) for cell in row] for row in rows], width)]


def test_a_table_that_fits_is_left_alone() -> None:
    """Columns are as wide as what is in them."""
    assert plain(80, ("192.0.2.1", "22", "OpenSSH", "hello")) == [
        " ADDRESS    PORT  PRODUCT  SAYS",
        " 192.0.2.1    22  OpenSSH  hello",
    ]


def test_the_widest_flexible_column_is_cut_first() -> None:
    """Addresses and ports stay whole while free text gives way."""
    row = plain(50, ("192.0.2.1", "22", "OpenSSH", "a very long banner that goes on and on and on"))[1]
    assert row == " 192.0.2.1    22  OpenSSH  a very long banner tha…"


def test_an_optional_column_goes_before_others_are_crushed() -> None:
    """Where even the shortest text has no room, optional columns are left out."""
    head, row = plain(28, ("192.0.2.1", "22", "OpenSSH 9.6p1", "a long banner"))
    assert "SAYS" not in head
    assert row.startswith(" 192.0.2.1    22  OpenSSH")


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.data(),
    st.integers(20, 200),
)
def test_no_line_is_wider_than_the_terminal(shapes: list[tuple[bool, bool]], data: st.DataObject, width: int) -> None:
    """Whatever the columns hold, they fill at most the width."""
    slots = [Slot("x", flexible=flexible, optional=optional) for flexible, optional in shapes]
    natural = [data.draw(st.integers(1, 300)) for _ in slots]
    widths = fit(slots, natural, width)
    shown = [w for w in widths if w]
    assert sum(shown) + GAP * (len(shown) - 1) <= width - 1
    assert all(w <= max(n, 1) and w <= max(MAX_FLEXIBLE, n) for w, n in zip(widths, natural, strict=True))


@given(st.text(max_size=100), st.integers(30, 140))
def test_wide_characters_count_double(text: str, width: int) -> None:
    """Cells, not characters, are counted: ideographs take two."""
    rows = [[Text("192.0.2.1"), Text("22"), Text("漢字" * 30), Text(" ".join(text.split()))]]
    assert all(line.cell_len <= width for line in lines(SLOTS, rows, width))


def test_flexible_columns_keep_a_readable_rest() -> None:
    """A flexible column is not cut below what can be read while another is wide."""
    assert min(fit(SLOTS, [9, 4, 100, 100], 60)[2:]) >= MIN_FLEXIBLE


def test_what_matters_is_cut_last() -> None:
    """Columns that are not `main` give up their width first, down to what can still be read, then the main ones do."""
    slots = (Slot("version", flexible=True, main=True), Slot("says", flexible=True))
    assert fit(slots, (40, 40), 1 + 40 + 2 + 20) == [40, 20]
    assert fit(slots, (40, 40), 1 + 30 + 2 + 18) == [30, 18]
    assert fit(slots, (40, 40), 1 + 28 + 2 + 10) == [28, 10]
