"""Makes the fixtures under test known here."""

from tests.support.postgres import database_url, embedded

__all__ = ["database_url", "embedded"]
