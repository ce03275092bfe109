"""A PostgreSQL of one test's own: with settings of its choice, changed while it runs, killed when it likes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Generator

from spectra.engines import pgconfig
from spectra.engines.layout import Layout
from spectra.engines.postgres import PostgresServer
from tests.support.postgres import reachable_folder


class OwnServer:
    """A running server below `folder`."""

    def __init__(self, server: PostgresServer, layout: Layout) -> None:
        self.server = server
        self._included = layout.cluster / pgconfig.INCLUDED

    @property
    def url(self) -> str:
        """Its database."""
        return self.server.url

    def reconfigure(self, **values: str) -> None:
        """Set parameters that a reload can set; the server takes them over at its next chance."""
        with self._included.open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in values.items())
        self._signal(signal.SIGHUP)

    def kill(self) -> None:
        """End the postmaster as a power cut would; its supervisor brings it back."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.server.pid
        assert pid is not None, "the server is not running"
        os.kill(pid, number)


@contextlib.contextmanager
def own_server(**extra: str) -> Generator[OwnServer]:
    """Started with little memory and the settings `extra`, stopped and removed at the end."""
    folder = reachable_folder()
    server = PostgresServer(folder, shared_buffers_mb=32, extra=extra)
    try:
        server.start()
        yield OwnServer(server, Layout.of(folder))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
