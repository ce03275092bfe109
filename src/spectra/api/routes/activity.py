"""What happens here: looked up, and as it happens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from spectra.api.answers import a_problem, answer, describe, described, ref
from spectra.api.auth import Caller, ServicesDep, caller_of, require_scope, scope, standing
from spectra.api.live import Live, events
from spectra.api.problems import Forbidden
from spectra.api.services import Services
from spectra.errors import BadRequest, Unavailable
from spectra.flow.stream import Stream
from spectra.model import times
from spectra.model.activity import TOPICS, Activity, ActivityPage, Progress, read_topics, seen_by
from spectra.store import activity
from spectra.store.activity import Wanted

router = APIRouter(tags=["activity"])

WHOLE: Final = "audit:read"
"""The scope that lets somebody see all that entries say."""
_MOST_KINDS: Final = 20
_Cursor = Annotated[int | None, Query(ge=0, le=2**53)]
_Topics = Annotated[
    str, Query(max_length=200, description="of these topics alone, separated by commas; `security` names several")
]
_Kinds = Annotated[
    str, Query(max_length=400, description="of these kinds alone, as `job.created`, or a noun, as `job`; by commas")
]
_Since = Annotated[str, Query(max_length=64, description="what came since: `1h`, `7d`, `2026-03-01`")]


@router.get(
    "/v0/activity",
    summary="What happened, newest first",
    dependencies=[scope("activity:read")],
    responses=described(ActivityPage, 400, 401, 403, 500),
    response_class=Response,
)
def page(
    request: Request,
    services: ServicesDep,
    *,
    topics: _Topics = "",
    kinds: _Kinds = "",
    q: Annotated[str, Query(max_length=200, description="with this text in the entry")] = "",
    since: _Since = "",
    before: _Cursor = None,
    after: _Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Entries of the provenance chain in plain words. A caller sees the topics that their scopes let them read, and
    what entries say in full with `audit:read`.

    Pages go on with `next_cursor` as `before`; or, from the oldest on, as `after`, which can be asked again for what is
    new. With `q` one page looks at 50,000 entries.
    """
    caller = caller_of(request)
    wanted = wanted_of(caller, topics, kinds)._replace(text=q.strip())
    earliest = activity.cursor_at(services.database, since_of(since, services)) if since else 0
    whole = WHOLE in caller.scopes
    found = activity.page(
        services.database, wanted, before=before, after=after, least=earliest, limit=limit, whole=whole
    )
    return answer(found)


class Changed(msgspec.Struct, frozen=True):
    """Something of a topic changed that is no entry of the chain, such as a finding or the presence of a node."""

    topic: str


def _described_stream() -> dict[int | str, dict[str, Any]]:
    """What the stream answers, for the document."""
    for kind in (Activity, Progress, Changed):
        describe(kind)
    told = "Events `activity` (with its cursor as the id), `progress` and `changed`, each with JSON of its kind"
    body = {"anyOf": [{"$ref": ref(kind)} for kind in (Activity, Progress, Changed)]}
    event = {
        "type": "object",
        "description": "One event of the stream",
        "properties": {
            "id": {"type": "string", "description": "the cursor to go on from"},
            "event": {"type": "string", "enum": ["activity", "progress", "changed"]},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": body},
        },
    }
    events = {"description": told, "content": {"text/event-stream": {"schema": event}}}
    return {200: events, **{status: a_problem() for status in (400, 401, 403, 503, 504)}}


@router.get(
    "/v0/stream",
    summary="What happens, as it happens",
    dependencies=[scope("activity:read")],
    responses=_described_stream(),
    response_class=Response,
)
def stream(
    request: Request,
    services: ServicesDep,
    *,
    topics: _Topics = "",
    kinds: _Kinds = "",
    since: _Since = "",
    cursor: Annotated[int | None, Query(ge=0, le=2**53, description="go on after this one")] = None,
) -> Response:
    """Server-sent events, at once and from now on, or from after `cursor`, `since` or the header `Last-Event-ID`, which
    browsers send when they come back. Nothing is missed or told twice by who goes on from the id that was told last.

    Something is said at least every 15 s. An answer ends after an hour, when the caller may not listen any more, and
    when the node ends: come back with the last id.
    """
    caller = caller_of(request)
    wanted = wanted_of(caller, topics, kinds)
    begin = last_id(request) if last_id(request) is not None else cursor
    if begin is None and since:
        begin = activity.cursor_at(services.database, since_of(since, services))

    def still() -> bool:
        try:
            now = standing(request, services)
        except Forbidden:
            return False
        return "activity:read" in now.scopes and wanted.topics <= seen_by(now.scopes)

    return Live(
        stream_of(services),
        caller.contributor,
        wanted,
        events(whole=WHOLE in caller.scopes),
        still=still,
        cursor=begin,
        threads=request.app.state.live,
    )


def wanted_of(caller: Caller, topics: str, kinds: str) -> Wanted:
    """What is asked for, of what `caller` may see. Raises `BadRequest`, `Forbidden` for a topic that they may not."""
    seen = seen_by(caller.scopes)
    named = read_topics(topics)
    for topic in named:
        if "security" not in topics:  # several at once: of those, what may be seen
            require_scope(caller, TOPICS[topic])
    words = tuple(word for part in kinds.split(",") if (word := part.strip().lower()))
    if len(words) > _MOST_KINDS:
        raise BadRequest(f"{len(words)} kinds are asked for; {_MOST_KINDS} are allowed.", field="kinds")
    return Wanted(seen & frozenset(named) if named else seen, words)


def since_of(text: str, services: Services) -> datetime:
    """The moment that `since` names. Raises `BadRequest`."""
    try:
        return times.moment(text.replace(" ", "+") if "T" in text else text, services.clock())
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{text[:60]!r} is not a time.", field="since", hint="Write 1h, 7d or 2026-03-01.") from error


def stream_of(services: Services) -> Stream:
    """What tells of all that happens. Raises `Unavailable` where this node has none."""
    if services.stream is None:
        raise Unavailable("This node tells nothing as it happens.", reason="no_stream")
    return services.stream


def last_id(request: Request) -> int | None:
    """The cursor that a browser comes back with."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
