"""A stored report in each of its forms."""

from __future__ import annotations

import hashlib

import msgspec

from spectra.ai.reports import rendering
from spectra.model.reports import FORMATS
from tests.ai.reports.papers import document

DATA = msgspec.json.encode(document())


def test_every_form_has_a_type() -> None:
    """Of media, by which a browser knows it."""
    assert set(rendering.MEDIA_TYPES) == set(FORMATS)


def test_forms_tell_the_checksum_of_the_document() -> None:
    """JSON is the document, the others name what it hashes to."""
    digest = hashlib.sha256(DATA).hexdigest()
    assert rendering.render(DATA, "json") == DATA
    assert digest in rendering.render(DATA, "md").decode()
    assert digest in rendering.render(DATA, "html").decode()
    assert rendering.render(DATA, "pdf").startswith(b"%PDF-")
