"""What a question becomes: conditions on the row itself apart from those that are looked up beside it."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.model.vulnquery import VulnQuery, read_products, read_text
from spectra.store.database import Database
from spectra.store.vulnwording import Wanted, wanted
from tests.store.corpus import Corpus


def asked(database: Database, query: VulnQuery) -> Wanted | None:
    """The conditions of `query`."""
    with database.connection() as connection:
        return wanted(connection, query)


def test_what_a_row_itself_tells_is_apart(database: Database) -> None:
    """Walks read columns of many rows, and look up beside them only what is left."""
    for query, looks_up, texts in (
        (VulnQuery(min_cvss=7.0, years=(2024,), kev=True), False, False),
        (VulnQuery(text=read_text("CVE-2024-6387 -CVE-2021")), False, False),
        (VulnQuery(text=read_text("overflow")), True, True),
        (VulnQuery(weaknesses=("CWE-79",)), True, True),
        (VulnQuery(affecting=True), True, False),
    ):
        found = asked(database, query)
        assert found is not None
        assert (found.looks_up, found.texts, "vuln_text" in found.source) == (looks_up, texts, texts), query


def test_only_wanted_words_weigh(database: Database) -> None:
    """What is excluded does not say how well a text matches; ids do not either."""
    found = asked(database, VulnQuery(text=read_text('openssh -windows "root shell" or CVE-2024')))
    assert found is not None
    assert found.weighed == 'openssh "root shell"'


def test_nothing_can_be_of_a_product_that_is_unknown(corpus: Corpus, database: Database) -> None:
    """None, before any CVE is looked at."""
    assert asked(database, VulnQuery(products=read_products("nobody:nothing"))) is None
    assert asked(database, VulnQuery(products=read_products("nobody:nothing,openssh"))) is not None


@pytest.mark.parametrize("text", ["the", "-the", "of or openssh", '"and the"', "!!!"])
def test_words_that_no_index_has_are_refused(database: Database, text: str) -> None:
    """An alternative without any word would be every CVE, or none."""
    with pytest.raises(BadRequest) as error:
        asked(database, VulnQuery(text=read_text(text)))
    assert error.value.field == "text"


@pytest.fixture
def corpus(database: Database) -> Corpus:
    """CVEs in the database of this test."""
    return Corpus.of(database)
