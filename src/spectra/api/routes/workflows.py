"""Durable workflows."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.model.records import WorkflowRecord

router = APIRouter(tags=["workflows"])


class WorkflowPage(msgspec.Struct):
    """Workflows, newest first, without their steps."""

    workflows: list[WorkflowRecord]


@router.get(
    "/v0/workflows",
    summary="Workflows, newest first",
    dependencies=[scope("workflows:read")],
    responses=described(WorkflowPage, 400, 401, 403),
    response_class=Response,
)
def newest(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    status: Annotated[Literal["", "pending", "running", "done", "failed"], Query()] = "",
) -> Response:
    """The newest workflows, of one status if that is asked for."""
    return answer(WorkflowPage(services.workflows.newest(limit=limit, status=status)))


@router.get(
    "/v0/workflows/{workflow_id}",
    summary="One workflow with its steps",
    dependencies=[scope("workflows:read")],
    responses=described(WorkflowRecord, 400, 401, 403, 404),
    response_class=Response,
)
def one(
    services: ServicesDep, workflow_id: Annotated[str, Path(max_length=200, pattern="^[A-Za-z0-9-]+$")]
) -> Response:
    """How far a workflow is."""
    return answer(services.workflows.get(workflow_id))
