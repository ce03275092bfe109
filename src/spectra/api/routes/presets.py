"""Ways of scanning by name, as jobs and schedules take them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ServicesDep, scope
from spectra.api.routes.jobs import work_of
from spectra.errors import NotFound
from spectra.model.presets import Preset
from spectra.model.query import suggest
from spectra.model.workpages import PresetList

router = APIRouter(tags=["jobs"])


@router.get(
    "/v0/presets",
    summary="Ways of scanning",
    dependencies=[scope("jobs:read")],
    responses=described(PresetList, 401, 403, 409),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """By name: with which tools, which ports, how hard."""
    return answer(PresetList(work_of(services).presets()))


@router.get(
    "/v0/presets/{name}",
    summary="One way of scanning",
    dependencies=[scope("jobs:read")],
    responses=described(Preset, 400, 401, 403, 404, 409),
    response_class=Response,
)
def one(
    services: ServicesDep,
    name: Annotated[str, Path(pattern="^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?$", description="The preset's name.")],
) -> Response:
    """All that it says."""
    found = {preset.name: preset for preset in work_of(services).presets()}
    if name not in found:
        near = suggest(name, found)
        hint = f"Did you mean {near}?" if near else f"There are {', '.join(sorted(found))}."
        raise NotFound(f"There is no preset {name}.", reason="unknown_preset", hint=hint)
    return answer(found[name])
