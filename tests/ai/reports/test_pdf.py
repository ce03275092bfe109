"""PDF: set by typst from data; nothing of what was said is code to it."""

from __future__ import annotations

import builtins
from typing import Any

import msgspec
import pytest

from spectra.ai.reports import pdf
from spectra.ai.reports.view import Cell, view
from spectra.errors import SetupError, Unavailable
from tests.ai.reports.papers import document


def test_a_report_is_set() -> None:
    """All forms of section and table, and words that would be code if they were read as such."""
    data = pdf.rendered(view(document(), "ab" * 32))
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")


def test_pages_are_pictures_and_few() -> None:
    """A long table is cut on paper."""
    seen = view(document(shown=("names",)), "ab")
    rows = tuple((Cell(f"n{number}.example.org"), Cell("192.0.2.7")) for number in range(5000))
    long = msgspec.structs.replace(seen, tables=(msgspec.structs.replace(seen.tables[0], rows=rows),))
    pages = pdf.pages(long, 12)
    assert all(page.startswith(b"\x89PNG") for page in pages)
    assert len(pages) < 10


def test_without_typst_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has to install what, and what works without."""
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "typst":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SetupError) as caught:
        pdf.rendered(view(document(), ""))
    assert (caught.value.reason, "extra `pdf`" in caught.value.hint) == ("no_pdf", True)


def test_as_many_as_may_be_are_set_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes too soon is told to come again."""
    monkeypatch.setattr(pdf, "_WAIT_S", 0.0)
    held = [pdf._setting.acquire(blocking=False) for _ in range(pdf.AT_ONCE)]  # pyright: ignore[reportPrivateUsage]
    try:
        assert all(held)
        with pytest.raises(Unavailable):
            pdf.rendered(view(document(), ""))
    finally:
        for _ in held:
            pdf._setting.release()  # pyright: ignore[reportPrivateUsage]
