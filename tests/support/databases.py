"""Databases beside the one that a fixture gives."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator

import psycopg
from psycopg import sql

from spectra.store.database import Database
from tests.support.postgres import drop, in_database


@contextlib.contextmanager
def another_database(server: str, template: str = "template1", *, pool_size: int = 4) -> Generator[Database]:
    """A copy of `template` on `server`, opened; dropped at the end."""
    name = f"spectra_another_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            with Database(in_database(server, name), pool_size=pool_size) as database:
                yield database
        finally:
            drop(server, name)
