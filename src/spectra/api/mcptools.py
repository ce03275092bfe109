"""What a model may look up over MCP: typed arguments, and the route of this API that answers each.

A tool is a route seen from elsewhere: its scope, what of it belongs to Pro and how often it may be asked are the
route's, and the schema of its answer is the one the OpenAPI document has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Meta

from spectra.api.routes.hosts import canonical
from spectra.errors import BadRequest
from spectra.model.diffs import DiffPage
from spectra.model.explanations import Explanation
from spectra.model.findingrecords import FindingPage
from spectra.model.plans import Coverage
from spectra.model.records import HostRecord, SearchPage
from spectra.model.summaries import MAX_QUESTION, MAX_TARGET, AiSummary, SummaryRequest, TargetKind
from spectra.model.vulnrecords import VulnDetail

T = TypeVar("T")

MAX_QUERY: Final = 2000
MOST: Final = 100
"""Rows of one answer: a model reads all of it."""

Query = Annotated[
    str,
    Meta(
        max_length=MAX_QUERY,
        description="Filters of the query language, which all have to hold: `port:22,80 product:nginx -service:ssh "
        'net:10.0.0.0/8 country:FR since:7d "words of a banner"`. Empty: everything.',
    ),
]
Limit = Annotated[int, Meta(ge=1, le=MOST, description="How many rows at most.")]
Cursor = Annotated[str, Meta(max_length=2000, description="`next_cursor` of the page before.")]
Ip = Annotated[str, Meta(min_length=2, max_length=60, description="An IPv4 or IPv6 address.")]
At = Annotated[str, Meta(max_length=60, description="RFC 3339: as it was known to be then. Empty: now.")]
Cve = Annotated[str, Meta(pattern=r"^[Cc][Vv][Ee]-[0-9]{4}-[0-9]{4,9}$", description="Such as CVE-2024-6387.")]


class Inner(NamedTuple):
    """A request to this API: `body` is sent as JSON with a POST."""

    method: str
    path: str
    params: dict[str, str]
    body: object = None


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `search`."""

    q: Query = ""
    sort: Annotated[
        str, Meta(max_length=20, description="last_seen, first_seen, ip or port; `-` in front reverses.")
    ] = "last_seen"
    facets: Annotated[
        str, Meta(max_length=200, description="Counts beside the rows, such as `country:10,product:10`.")
    ] = ""
    total: Annotated[bool, Meta(description="With the number of all matches.")] = False
    limit: Limit = 20
    cursor: Cursor = ""

    def inner(self) -> Inner:
        """The request it stands for."""
        return Inner("GET", "/v0/search", _given(self, "q", "sort", "facets", "total", "limit", "cursor"))


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `host`."""

    ip: Ip
    at: At = ""
    history: Annotated[bool, Meta(description="With every version of every endpoint, and who saw it.")] = False

    def inner(self) -> Inner:
        """The request it stands for. Raises `BadRequest` for what is no address."""
        return Inner("GET", f"/v0/host/{_segment(canonical(self.ip))}", _given(self, "at", "history"))


class Findings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `findings`."""

    q: Query = ""
    state: Annotated[
        Literal["open", "new", "reopened", "closed"], Meta(description="Of those that are there now, or went.")
    ] = "open"
    since: Annotated[str, Meta(max_length=60, description="Opened, known or closed since: `7d`, `2026-03-01`.")] = ""
    level: Annotated[str, Meta(max_length=60, description="How sure: confirmed, likely, possible.")] = ""
    sort: Annotated[Literal["priority", "cvss", "epss", "opened"], Meta(description="What comes first.")] = "priority"
    limit: Limit = 20
    cursor: Cursor = ""

    def inner(self) -> Inner:
        """The request it stands for."""
        return Inner("GET", "/v0/findings", _given(self, "q", "state", "since", "level", "sort", "limit", "cursor"))


class Diff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `diff`."""

    since: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="A time, a span (`7d`: so long ago) or the id of a scan."),
    ]
    to: Annotated[str, Meta(max_length=200, description="A time or span, or the other scan's id.")] = "now"
    q: Query = ""
    kind: Annotated[Literal["", "new", "gone", "changed"], Meta(description="Only entries of this kind.")] = ""
    limit: Limit = 20
    cursor: Cursor = ""

    def inner(self) -> Inner:
        """The request it stands for."""
        return Inner("GET", "/v0/diff", {"from": self.since} | _given(self, "to", "q", "kind", "limit", "cursor"))


class CoverageOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `coverage`."""

    q: Query = ""

    def inner(self) -> Inner:
        """The request it stands for."""
        return Inner("GET", "/v0/coverage", _given(self, "q"))


class Explain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `explain`."""

    kind: Annotated[TargetKind, Meta(description="Whether `target` is an address, a name or a query.")]
    target: Annotated[
        str,
        Meta(min_length=1, max_length=MAX_TARGET, description="Such as `192.0.2.10`, `www.example.org`, `port:22`."),
    ]
    question: Annotated[str, Meta(max_length=MAX_QUESTION, description="What to find out about it; its own text.")] = ""

    def inner(self) -> Inner:
        """The request it stands for."""
        wanted = SummaryRequest(kind=self.kind, target=self.target, question=self.question)
        return Inner("POST", "/v0/ai/summary", {}, msgspec.to_builtins(wanted))


class ExplainByRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `explain_by_rules`."""

    ip: Ip

    def inner(self) -> Inner:
        """The request it stands for. Raises `BadRequest` for what is no address."""
        return Inner("GET", f"/v0/explain/ip/{_segment(canonical(self.ip))}", {})


class Vulnerability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `vulnerability`."""

    cve: Cve

    def inner(self) -> Inner:
        """The request it stands for."""
        return Inner("GET", f"/v0/vulns/{self.cve.upper()}", {})


Ask = Search | Host | Findings | Diff | CoverageOf | Explain | ExplainByRules | Vulnerability


@dataclass(frozen=True)
class Spec:
    """A tool. `scope` is that of its route, which checks it; here it decides who is told of the tool at all."""

    name: str
    title: str
    description: str
    asks: type[Ask]
    answers: type
    scope: str

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
        return schema_of(self.asks)

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of its answer."""
        return schema_of(self.answers)

    def read(self, arguments: dict[str, Any] | None) -> Ask:
        """The arguments, checked. Raises `BadRequest` naming the wrong one."""
        try:
            return msgspec.convert(arguments or {}, self.asks)
        except msgspec.ValidationError as error:
            raise BadRequest(f"The arguments of {self.name} do not hold: {str(error)[:300]}.", field="arguments") from (
                error
            )


TOOLS: Final = (
    Spec(
        "search",
        "Find endpoints",
        "Endpoints (address, port, protocol) with service, product, banner and certificate, as they are now.",
        Search,
        SearchPage,
        "search:read",
    ),
    Spec(
        "host",
        "One host",
        "All that is known of an address: names, endpoints, certificates and, for Pro, its weaknesses. Now or then.",
        Host,
        HostRecord,
        "hosts:read",
    ),
    Spec(
        "findings",
        "Weaknesses that were found",
        "Which endpoints have which weaknesses, the most urgent first, with scores and why. Needs Pro.",
        Findings,
        FindingPage,
        "findings:read",
    ),
    Spec(
        "diff",
        "What changed",
        "What is new, gone or changed between two moments or two scans.",
        Diff,
        DiffPage,
        "hosts:read",
    ),
    Spec(
        "coverage",
        "How fresh a selection is",
        "How old what is known of a selection is, what of it is stale, and networks that were never looked at.",
        CoverageOf,
        Coverage,
        "coverage:read",
    ),
    Spec(
        "explain",
        "A target in three points",
        "Summary, risks and next steps of a host, a name or what a query finds, each sentence citing records; drawn by "
        "the server's own model where it has one, else by rules. Needs Pro.",
        Explain,
        AiSummary,
        "ai:ask",
    ),
    Spec(
        "explain_by_rules",
        "A host in three points, by rules",
        "Summary, risks and next steps of a host, drawn from its facts by fixed rules. No model is asked.",
        ExplainByRules,
        Explanation,
        "hosts:read",
    ),
    Spec(
        "vulnerability",
        "One CVE",
        "All that is known of a CVE: texts, scores, exploitation, what is affected, and which endpoints. Needs Pro.",
        Vulnerability,
        VulnDetail,
        "vulns:read",
    ),
)
BY_NAME: Final = {spec.name: spec for spec in TOOLS}


def schema_of(kind: type) -> dict[str, Any]:
    """The JSON Schema of a struct with the struct itself at its root, as MCP wants it; what it refers to in `$defs`."""
    found = msgspec.json.schema(kind)
    others: dict[str, Any] = found.get("$defs", {})
    root = found.get("$ref", "").rpartition("/")[2]
    if root:
        own = others[root] if _named(others, root) else others.pop(root)
        found = {**own, "$defs": others} if others else dict(own)
    # Defaults that are tuples become lists, and what is shared is no more.
    return msgspec.json.decode(msgspec.json.encode(found))


def _named(others: dict[str, Any], name: str) -> bool:
    """Whether a schema is spoken of by another, or by itself."""
    return f'"#/$defs/{name}"'.encode() in msgspec.json.encode(others)


def _given(ask: Ask, *names: str) -> dict[str, str]:
    """Those of its fields that say something, as parameters."""
    values = ((name, getattr(ask, name)) for name in names)
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values if value}


def _segment(value: str) -> str:
    return quote(value, safe=":")
