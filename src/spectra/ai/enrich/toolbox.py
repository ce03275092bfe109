"""The tools of the enrichment agent: what a model may ask for is decided here, never by what it was told.

An argument is a CVE of this run, or a page that a trusted record names: nothing that a model writes goes anywhere else,
so that neither text in a banner nor a fetched page can have anything sent, fetched or revealed. What is refused is
counted and told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from spectra.ai.enrich.fetching import Page
from spectra.ai.enrich.lookups import Kind, Lookups
from spectra.ai.enrich.pages import text_of
from spectra.model.ai import Tool, ToolCall
from spectra.model.enrichment import RefusedCall
from spectra.model.vulns import Kev, VulnRecord

T = TypeVar("T")

MAX_CALLS: Final = 6
"""Calls of one run for one CVE, refused ones counted."""
MAX_ARGUMENTS: Final = 2000


class _OfCve(msgspec.Struct, forbid_unknown_fields=True):
    cve: Annotated[str, Meta(pattern=r"^CVE-[0-9]{4}-[0-9]{4,9}$", description="Such as CVE-2024-6387.")]


class _OfUrl(msgspec.Struct, forbid_unknown_fields=True):
    url: Annotated[str, Meta(max_length=1000, description="One of the pages that were listed to you.")]


class Refused(Exception):
    """A call that is not made; `reason` is one of `RefusedCall`'s."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def _schema(kind: type) -> dict[str, object]:
    schema: dict[str, object] = dict(msgspec.json.schema(kind)["$defs"][kind.__name__])
    return schema


TOOLS: Final = (
    Tool("cve_details", "What the NVD and the CVE programme say of a CVE.", _schema(_OfCve)),
    Tool("advisory", "What OSV says of a CVE: affected products, repaired versions.", _schema(_OfCve)),
    Tool(
        "exploit_references", "Whether a CVE is known to be exploited, by CISA, and pages on exploits.", _schema(_OfCve)
    ),
    Tool("fetch", "The text of one of the pages that were listed to you.", _schema(_OfUrl)),
)
_KINDS: Final[Mapping[str, Kind]] = {
    "cve_details": "details",
    "advisory": "advisory",
    "exploit_references": "exploits",
}


class Toolbox:
    """The tools of one run for one CVE. `urls` are the pages that trusted records name."""

    def __init__(self, lookups: Lookups, cves: Collection[str], urls: Collection[str]) -> None:
        self._lookups = lookups
        self._cves = frozenset(cves)
        self._urls = frozenset(urls)
        self.used: dict[str, Page] = {}
        self.refused: list[RefusedCall] = []
        self.calls = 0

    @property
    def left(self) -> int:
        """Calls that may still be made."""
        return max(MAX_CALLS - self.calls, 0)

    def call(self, call: ToolCall) -> str:
        """What a call answers, in words written by others; or a sentence of ours on why it is not made."""
        self.calls += 1
        try:
            return self._answered(call)
        except Refused as refused:
            known = call.name if call.name in {tool.name for tool in TOOLS} else "unknown"
            self.refused.append(RefusedCall(known, refused.reason))
            return f"Refused: {refused}"

    def _answered(self, call: ToolCall) -> str:
        if self.calls > MAX_CALLS:
            raise Refused("too_many", f"there are {MAX_CALLS} calls and no more.")
        if call.name == "fetch":
            return self._fetched(_arguments(call, _OfUrl).url)
        if (kind := _KINDS.get(call.name)) is None:
            raise Refused("unknown_tool", "there is no such tool.")
        cve = _arguments(call, _OfCve).cve
        if cve not in self._cves:
            raise Refused("unknown_cve", "this is not the CVE that is looked into.")
        told = self._lookups.about(cve, kind)
        self.used |= {one.page.url: one.page for one in told}
        said = [f"{one.place}: {words(one.says) if one.says else 'nothing'}" for one in told]
        return "\n".join(said) or "No answer."

    def _fetched(self, url: str) -> str:
        if url not in self._urls:
            raise Refused("unknown_url", "this is none of the pages that were listed.")
        page = self._lookups.page(url)
        if page is None:
            return "No answer."
        self.used[page.url] = page
        return text_of(page)


def words(says: VulnRecord | Kev, most: int = 3000) -> str:
    """What a record says, for a model to read: texts, scores, what is affected, pages."""
    if isinstance(says, Kev):
        ransom = ", by ransomware too" if says.ransomware else ""
        return f"known to be exploited since {says.added:%Y-%m-%d}{ransom}. {says.name}. {says.action}"[:most]
    scores = ", ".join(f"CVSS {m.version} {m.score} {m.severity} ({m.by or says.source})" for m in says.metrics[:4])
    pages = "\n".join(f"- {r.url} ({', '.join(r.tags)})" for r in says.references[:12])
    parts = (says.title, says.description, scores, ", ".join(says.weaknesses[:5]), f"Pages:\n{pages}" if pages else "")
    return "\n".join(part for part in parts if part)[:most]


def _arguments(call: ToolCall, kind: type[T]) -> T:
    if len(call.arguments) > MAX_ARGUMENTS:
        raise Refused("bad_arguments", "the arguments are too long.")
    read: Callable[[str], T] = msgspec.json.Decoder(kind).decode
    try:
        return read(call.arguments)
    except (ValueError, RecursionError) as error:
        raise Refused("bad_arguments", "the arguments do not fit the tool's schema.") from error
