"""One node for all tests of the API: tests keep out of each other's way by using hosts and accounts of their own."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from spectra import app
from spectra.engines.postgres import PostgresServer
from spectra.settings import (
    ApiSettings,
    AuthSettings,
    BlobSettings,
    DatabaseSettings,
    GateSettings,
    LimitsSettings,
    Settings,
)
from tests.api.meshnode import MeshNode, mesh_of
from tests.api.node import Node, serving
from tests.support.postgres import drop, embedded, in_database, reachable_folder

__all__ = ["embedded"]


# A package's, not the session's: there is one workflow engine in a process, and other rooms' tests start it too.
@pytest.fixture(scope="package")
def node(embedded: PostgresServer) -> Iterator[Node]:
    """A node with every engine running; limits are wide but for the rates, which are off."""
    name, folder = f"spectra_api_{secrets.token_hex(6)}", reachable_folder()
    with psycopg.connect(embedded.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(sql.Identifier(name)))
        settings = Settings(
            data_dir=folder,
            api=ApiSettings(body_timeout_s=20.0),
            database=DatabaseSettings(url=SecretStr(in_database(embedded.url, name)), pool_size=6),
            gate=GateSettings(rate_per_minute=0, max_envelope_bytes=4 * 1024 * 1024),
            auth=AuthSettings(password_memory_mib=19),
            limits=LimitsSettings(plan_per_minute=0, requests_per_hour=0, requests_per_hour_total=0),
            blobs=BlobSettings(),
        )
        try:
            with app.engines(settings) as services, serving(services) as url:
                yield Node(url, services)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            drop(embedded.url, name)


@pytest.fixture(scope="package")
def mesh(node: Node) -> Iterator[MeshNode]:
    """The mesh of that node, on a listener of its own."""
    with mesh_of(node) as served:
        yield served
