"""The world that retrieval is measured in: real answers of a real server, and what is asked in it has findings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.ai.retrieval.collect import look
from spectra.bench.aiworld import World
from tests.bench import weaknesses

pytestmark = pytest.mark.engine


def test_the_world_has_what_was_put_into_it(world: World) -> None:
    """Hosts of a few services each, every CVE, vectors of them, and findings."""
    assert (world.hosts, world.cves) == (10, weaknesses.COUNT)
    found = [look(world.sources, world.target(number), datetime.now(UTC)) for number in range(3)]
    assert all(one.hosts[0].ip == world.target(number).value for number, one in enumerate(found))
    assert any(one.findings for one in found)
    assert world.sources.nearest is not None
    page = world.sources.nearest.to_text("an overflow in a component", 5)
    assert (page.vectors, len(page.similar)) == ("ready", 5)
