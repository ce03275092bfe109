"""Fixtures of the rooms of `ai`: a database, and a web server of the test's own."""

from __future__ import annotations

from tests.ai.enrich.conftest import served, web
from tests.flow.conftest import store_server
from tests.store.conftest import database, migrated_template
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template", "served", "store_server", "web"]
