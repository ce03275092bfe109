"""The small town of the retrieval's tests."""

from tests.ai.retrieval.conftest import database, embedded, migrated_template, store_server, town

__all__ = ["database", "embedded", "migrated_template", "store_server", "town"]
