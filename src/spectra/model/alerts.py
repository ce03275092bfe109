"""Alerts: rules about what changes, what they found, what is left out, and what people are told of it.

A rule watches for things of some kinds (`KINDS`); one that happened is an `Occurrence`. Occurrences of a rule that
belong together (`Rule.group`) make one alert, which stays while what it tells of is so: nothing is told twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from spectra.model.insights import SEVERITIES, Severity

__all__ = [
    "ABOUT_HOSTS",
    "ALL_OUTLETS",
    "KINDS",
    "LASTING",
    "SEVERITIES",
    "STATES",
    "AlertAcknowledging",
    "AlertMuting",
    "AlertPage",
    "AlertRecord",
    "AlertState",
    "AlertSubject",
    "AlertTotals",
    "DeliveryPage",
    "DeliveryRecord",
    "DeliveryState",
    "Group",
    "Kind",
    "Message",
    "Mute",
    "MuteList",
    "Muting",
    "Occurrence",
    "QuietHours",
    "Rule",
    "RuleList",
    "RuleRecord",
    "Severity",
    "Told",
    "Trial",
    "TrialAlert",
    "Trying",
]

Kind = Literal[
    "host.new",
    "port.opened",
    "service.new",
    "service.changed",
    "certificate.changed",
    "certificate.expiring",
    "finding.new",
    "kev.match",
    "host.gone",
    "worker.lost",
    "envelope.refused",
    "signin.strange",
    "feed.stale",
    "job.ended",
]
KINDS: Final[dict[Kind, str]] = {
    "host.new": "a host that was never seen before",
    "port.opened": "a port is open that was not before",
    "service.new": "a service where there was none, or another one",
    "service.changed": "a service is of another version, or says something else",
    "certificate.changed": "a service shows another certificate than before",
    "certificate.expiring": "a certificate in use runs out within so many days",
    "finding.new": "a service has a weakness that it had not, or that was not known",
    "kev.match": "a service has a weakness that is known to be exploited (CISA KEV)",
    "host.gone": "a host does not answer any more, and was last seen so many days ago",
    "worker.lost": "a machine of the mesh is not heard any more",
    "envelope.refused": "a submission was refused: forged, replayed, of a key that is not allowed",
    "signin.strange": "a sign-in from a place that the account never came from, or refused ones",
    "feed.stale": "a feed could not be fetched for so many days",
    "job.ended": "a scan job has ended",
}
"""What rules watch for, in words."""
_FOUND: Final[tuple[Kind, ...]] = ("finding.new", "kev.match")
_AT_HOSTS: Final[tuple[Kind, ...]] = ("host.new", "port.opened", "service.new", "service.changed", "host.gone")
_CERTIFICATES: Final[tuple[Kind, ...]] = ("certificate.changed", "certificate.expiring")
ABOUT_HOSTS: Final[frozenset[Kind]] = frozenset((*_AT_HOSTS, *_CERTIFICATES, *_FOUND))
"""Kinds that a rule's query narrows down."""
LASTING: Final[frozenset[Kind]] = frozenset(
    {"certificate.expiring", "finding.new", "kev.match", "host.gone", "worker.lost", "feed.stale"}
)
"""Kinds that are so until they are not; the others happen at one moment, and are over after `Rule.calm_s`."""

Group = Literal["each", "host", "network", "rule"]
"""What belongs into one alert: each thing has its own, or all of one host, of one network (/24, /48), or all."""
AlertState = Literal["pending", "firing", "acknowledged", "resolved"]
"""`pending`: fewer than the threshold so far; nobody was told."""
STATES: Final[tuple[AlertState, ...]] = get_args(AlertState)
DeliveryState = Literal["waiting", "delivered", "failed", "dropped"]
"""`failed`: given up; `dropped`: it was over, or its outlet gone, before it was told."""
Told = Literal["firing", "again", "resolved", "test"]
"""Why a message is sent: an alert fires, there is more of it, it is over; or an outlet is tried."""

MAX_RULES: Final = 200
MAX_SUBJECTS: Final = 500
"""Things that one alert names at most; it counts all."""
MAX_LINES: Final = 20
MAX_MUTES: Final = 5000
ALL_OUTLETS: Final = "*"

RuleName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,59}\Z")]
OutletName = Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,59}|\*)\Z")]
_Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")]
_Line = Annotated[str, Meta(max_length=500)]


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `start` to `end` (HH:MM, may go past midnight) on `days` (1 Monday to 7 Sunday, by the day of its start;
    none: every day) in `zone` nothing is sent, but what is as bad as `loud` or worse; it is sent when they end.
    """

    start: _Clock
    end: _Clock
    zone: Annotated[str, Meta(max_length=60)] = "UTC"
    days: Annotated[tuple[Annotated[int, Meta(ge=1, le=7)], ...], Meta(max_length=7)] = ()
    loud: Severity = "critical"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to watch for, and whom to tell.

    `query` narrows down what is about hosts; empty: all. `outlets`: names, `*` for all that are switched on; none:
    the dashboard alone. An alert fires once `threshold` things happened within `window_s` seconds. More of the same
    alert is told at most every `gather_s`. What happens at one moment is over `calm_s` after the last of it.
    `resolved`: tell also when it is over.
    """

    name: RuleName
    on: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=14)]
    query: Annotated[str, Meta(max_length=4096)] = ""
    severity: Severity = "medium"
    outlets: Annotated[tuple[OutletName, ...], Meta(max_length=20)] = ()
    enabled: bool = True
    group: Group = "host"
    threshold: Annotated[int, Meta(ge=1, le=100_000)] = 1
    window_s: Annotated[int, Meta(ge=1, le=30 * 86_400)] = 3600
    quiet: QuietHours | None = None
    gather_s: Annotated[int, Meta(ge=0, le=7 * 86_400)] = 300
    calm_s: Annotated[int, Meta(ge=60, le=90 * 86_400)] = 86_400
    resolved: bool = False
    expires_days: Annotated[int, Meta(ge=1, le=365)] = 14
    gone_days: Annotated[int, Meta(ge=0, le=365)] = 7
    stale_days: Annotated[int, Meta(ge=1, le=365)] = 7
    note: _Line = ""


class RuleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is stored; `by` changed it last. `firing`: its alerts that nobody looked after yet.

    `trouble`: why it could not be looked at last, such as a regular expression that takes too long.
    """

    rule: Rule
    created: datetime
    changed: datetime
    by: str
    firing: int = 0
    trouble: str = ""


class RuleList(msgspec.Struct, frozen=True):
    """All rules, by name."""

    rules: tuple[RuleRecord, ...]


class Occurrence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that a rule watches for, `times` of it. What it is not about is empty; `name` is that of a node, feed,
    account, job. `title` is a line of plain text, `path` where the dashboard shows it.
    """

    kind: Kind
    at: datetime
    title: str
    path: str = ""
    ip: str = ""
    port: int = 0
    protocol: str = ""
    cve: str = ""
    name: str = ""
    times: int = 1

    @property
    def key(self) -> str:
        """What tells it from others of a rule."""
        key = f"{self.kind}|{self.ip}" if self.ip or self.protocol else self.kind
        if self.protocol:
            key += f"/{self.protocol}/{self.port}"
        if self.cve:
            key += f"|{self.cve}"
        return f"{key}|{self.name}" if self.name else key


class AlertSubject(Occurrence, frozen=True, omit_defaults=True, kw_only=True):
    """One of the things that an alert tells of; `over` since it is so no longer."""

    over: datetime | None = None


class AlertRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a rule found. `key` is what belongs together by the rule's `group`; of an alert that is not resolved there
    is one of a rule and key. `subjects` are the newest first, at most 500 (in lists: 5); `count` counts all.

    `first` and `last`: when the first and the last of it were noticed. `told`: when people were told last. `why`: why
    it is resolved. `comment` is of who acknowledged it.
    """

    id: str
    rule: str
    key: str
    kind: Kind
    severity: Severity
    title: str
    state: AlertState
    first: datetime
    last: datetime
    count: int
    subjects: tuple[AlertSubject, ...] = ()
    why: str = ""
    told: datetime | None = None
    acknowledged: datetime | None = None
    acknowledged_by: str = ""
    comment: str = ""
    resolved: datetime | None = None


class AlertTotals(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts there are that nobody looked after, by severity, and that somebody did."""

    firing: dict[str, int]
    acknowledged: int = 0


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, the newest first; `next_cursor` is empty on the last page."""

    alerts: tuple[AlertRecord, ...]
    totals: AlertTotals
    next_cursor: str = ""


class AlertAcknowledging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v0/alerts/ack`: alerts that somebody looks after now."""

    ids: Annotated[tuple[Annotated[str, Meta(max_length=60)], ...], Meta(min_length=1, max_length=500)]
    comment: Annotated[str, Meta(max_length=1000)] = ""


class Muting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is to be left out: all that is given has to be so of a thing. `rule`: of that one only; `kind`, `ip`, `port`
    with `protocol`, `cve`, `name` as of an `Occurrence`. Until `until`, or for good. Something other than the rule has
    to be given.
    """

    rule: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,59})?\Z")] = ""
    kind: Kind | Literal[""] = ""
    ip: Annotated[str, Meta(max_length=45)] = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    protocol: Literal["", "tcp", "udp", "sctp"] = ""
    cve: Annotated[str, Meta(max_length=30)] = ""
    name: Annotated[str, Meta(max_length=300)] = ""
    until: datetime | None = None
    reason: Annotated[str, Meta(max_length=1000)] = ""


class Mute(Muting, frozen=True, omit_defaults=True, kw_only=True):
    """Something that is left out, since `at`, as `by` said."""

    id: str
    at: datetime
    by: str

    def covers(self, rule: str, one: Occurrence) -> bool:
        """Whether `one`, of that rule, is left out; not whether that is over."""
        return (
            self.rule in ("", rule)
            and self.kind in ("", one.kind)
            and self.ip in ("", one.ip)
            and (not self.protocol or (self.protocol, self.port) == (one.protocol, one.port))
            and self.cve in ("", one.cve)
            and self.name in ("", one.name)
        )


class MuteList(msgspec.Struct, frozen=True):
    """What is left out, the newest first; what is over is not among them."""

    mutes: tuple[Mute, ...]


class AlertMuting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v0/alerts/{id}/mute`: leave out what the alert tells of, all but the rule's other things."""

    until: datetime | None = None
    reason: Annotated[str, Meta(max_length=1000)] = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What an outlet is handed. Plain text: `title` is one line, `lines` are at most 20; `path` is where the dashboard
    shows the alert. `id` is the same each time it is tried. `count` is how many things the alert counts.
    """

    id: str
    alert: str
    rule: str
    told: Told
    severity: Severity
    title: str
    lines: tuple[str, ...]
    path: str
    at: datetime
    count: int = 1


class DeliveryRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A message on its way to an outlet. `next`: when it is tried (again); `error`: why the last try failed."""

    notification: str
    outlet: str
    state: DeliveryState
    alert: str
    rule: str
    told: Told
    severity: Severity
    title: str
    at: datetime
    attempts: int = 0
    next: datetime | None = None
    delivered: datetime | None = None
    error: str = ""


class DeliveryPage(msgspec.Struct, frozen=True):
    """Messages and where they are, the newest first; `next_cursor` is empty on the last page."""

    deliveries: tuple[DeliveryRecord, ...]
    next_cursor: str = ""


class Trying(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /v0/alerts/rules/test`: what would `rule` have told in the last `days`?"""

    rule: Rule
    days: Annotated[int, Meta(ge=1, le=90)] = 7


class TrialAlert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An alert that a rule would have made. `messages`: how many would have been sent, `held` of them after quiet
    hours.
    """

    key: str
    kind: Kind
    title: str
    first: datetime
    last: datetime
    count: int
    messages: int
    held: int = 0
    lines: tuple[str, ...] = ()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would have told from `from_` (JSON: `from`) to `to`, the newest alerts first, at most 100.

    `things`: what it would have seen; `alerts_total`, `messages`: what came of that. `complete`: all of the time was
    looked at; else `from_` is as far back as that went. `notes` say what cannot be known of the past.
    """

    from_: datetime = msgspec.field(name="from")
    to: datetime
    things: int
    alerts_total: int
    messages: int
    alerts: tuple[TrialAlert, ...]
    complete: bool = True
    notes: tuple[str, ...] = ()
