"""A real nats-server with members, for tests of what connects to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spectra.engines.nats import NatsServer
from spectra.fabric.link import TlsFiles
from spectra.fabric.natsconfig import Limits, Member, NatsConfig, render
from spectra.fabric.subjects import permissions
from spectra.model.nodes import Standing
from tests.support.meshcerts import TestAuthority, uri
from tests.support.waiting import eventually

COORDINATOR = "coordinator"


class Heard:
    """What callbacks told, for a test to wait for."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._told: list[tuple[Any, ...]] = []

    def __call__(self, *told: Any) -> None:
        """The callback."""
        with self._guard:
            self._told.append(told)

    @property
    def told(self) -> list[tuple[Any, ...]]:
        """Everything so far."""
        with self._guard:
            return list(self._told)

    def wait_for(self, *expected: Any) -> tuple[Any, ...]:
        """The first that begins with `expected`."""
        wanted = expected
        return eventually(lambda: next((one for one in self.told if one[: len(wanted)] == wanted), ()))

    def wait_until(self, check: Callable[[tuple[Any, ...]], bool]) -> tuple[Any, ...]:
        """The first that `check` holds for."""
        return eventually(lambda: next((one for one in self.told if check(one)), ()))


class Fabric:
    """A server on `folder`, and the files of everybody in its mesh."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.authority = TestAuthority(folder / "nodes")
        self.coordinator = self.authority.server(COORDINATOR)
        self.refused = Heard()
        self.members: dict[str, Standing] = {}
        self.limits = Limits()
        self.server = NatsServer(folder / "data", on_refusal=self.refused, **options)

    def text(self) -> str:
        """The configuration for the members as they are."""
        members = [Member(uri(name), permissions("worker", name, s)) for name, s in self.members.items()]
        return render(
            NatsConfig(
                server_name="test",
                tls=self.coordinator,
                store_dir=self.server.folder / "jetstream",
                coordinators=[uri(COORDINATOR)],
                members=members,
                limits=self.limits,
            )
        )

    def node(self, name: str, standing: Standing = "active") -> TlsFiles:
        """The files of a member, which the server knows after the next `start` or `reload`."""
        self.members[name] = standing
        return self.authority.node(name)

    def start(self) -> None:
        """Start the server."""
        self.server.start(self.text())

    def reload(self) -> None:
        """Tell the server who is a member now."""
        self.server.reload(self.text())


@contextmanager
def fabric(folder: Path, *names: str, **options: Any) -> Generator[Fabric]:
    """A running server with these active members; stopped at the end."""
    made = Fabric(folder, **options)
    for name in names:
        made.node(name)
    try:
        made.start()
        yield made
    finally:
        made.server.stop()
