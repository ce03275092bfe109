"""A stored report in one of its forms."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from spectra.ai.reports import html, jsonform, markdown, pdf
from spectra.ai.reports.view import view
from spectra.model.reports import Format, ReportDocument

MEDIA_TYPES: Final[dict[Format, str]] = {
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "json": "application/json",
}


def render(data: bytes, form: Format) -> bytes:
    """The document `data`, as it is stored, in a form. Raises `SetupError` (`no_pdf`) where an extra is missing, and
    `Unavailable` (`busy`) where as many are being set as may be.
    """
    if form == "json":
        return jsonform.rendered(data)
    seen = view(msgspec.json.decode(data, type=ReportDocument), hashlib.sha256(data).hexdigest())
    if form == "md":
        return markdown.rendered(seen).encode()
    return html.rendered(seen).encode() if form == "html" else pdf.rendered(seen)
