"""The first page, and what happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model.activity import TOPICS, ActivityPage, seen_by
from spectra.model.overview import Looked, OverviewPage
from spectra.web.page import VisitDep, page

router = APIRouter(include_in_schema=False)

_SCOPE: Final = "activity:read"
SPANS: Final = (("1h", "the last hour"), ("24h", "the last day"), ("7d", "the last week"), ("30d", "the last month"))
_PER_PAGE: Final = 100
_FEW: Final = 12
_OLD: Final = timedelta(days=7)
_Text = Annotated[str, Query(max_length=200)]
_Cursor = Annotated[int | None, Query(ge=0, le=2**53)]


@router.get("/", dependencies=[page(_SCOPE)])
async def overview(visit: VisitDep, since: _Text = "") -> Response:
    """What is new since the last visit, or since the span that was chosen; how it stands with all that works here."""
    since = since if since in dict(SPANS) else ""
    api = visit.api
    if not since:
        await api.send("POST", "/v0/overview/look", Looked)
    found, lately = await api.together(
        api.get("/v0/overview", OverviewPage, since=since), api.get("/v0/activity", ActivityPage, limit=_FEW)
    )
    return await visit.render(
        "overview.html",
        title="Overview",
        at="overview",
        o=found,
        since=since,
        spans=SPANS,
        lately=lately.activity,
        old=datetime.now(UTC) - _OLD,
        began=found.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


@router.post("/overview/seen", dependencies=[page(_SCOPE)])
async def seen(visit: VisitDep) -> Response:
    """Nothing is new any more."""
    await visit.form()
    await visit.api.send("POST", "/v0/overview/look", Looked, done="true")
    return visit.go("/", "What comes from now on is new.")


@router.get("/activity", dependencies=[page(_SCOPE)])
async def activity(
    visit: VisitDep, q: _Text = "", topic: _Text = "", since: _Text = "", before: _Cursor = None
) -> Response:
    """What happened, newest first, with search; `topic` is one, or `security` for those that are about trust."""
    seen_topics = [name for name in TOPICS if name in seen_by(visit.caller.scopes)]
    topic = topic if topic in {"security", *seen_topics} else ""
    since = since if since in dict(SPANS) else ""
    found = await visit.api.get(
        "/v0/activity", ActivityPage, q=q, topics=topic, since=since, before=before, limit=_PER_PAGE
    )
    kept = {name: value for name, value in (("q", q), ("topic", topic), ("since", since)) if value}
    more = urlencode({**kept, "before": found.next_cursor}) if found.next_cursor is not None else ""
    return await visit.render(
        "activity.html",
        title="Activity",
        at="activity",
        entries=found.activity,
        q=q,
        topic=topic,
        topics=seen_topics,
        since=since,
        spans=SPANS,
        more=f"/activity?{more}" if more else "",
        first=f"/activity?{urlencode(kept)}" if before is not None else "",
        live=topic if topic in seen_topics else "*",
    )
