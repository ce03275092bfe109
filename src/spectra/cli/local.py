"""This machine as the command line sees it: settings, credential, the server to talk to and the key to sign with."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spectra.cli.problems import Unreachable
from spectra.errors import SetupError

if TYPE_CHECKING:
    import typer

    from spectra.cli.client import Client
    from spectra.cli.sessions import Keeper
    from spectra.identity.keys import SigningKey
    from spectra.identity.tokens import LocalCredential, Session
    from spectra.settings import Settings

TOKEN_VARIABLE = "SPECTRA_TOKEN"  # noqa: S105 - the name of a variable


Bearer = str | Callable[[], str]


class Signer(NamedTuple):
    """Who signs: the contributor's name, the key, and the file it was read from."""

    contributor: str
    key: SigningKey
    path: Path


@dataclass
class Machine:
    """What was said before the command (`--server`, `--data-dir`), and what follows from it."""

    server: str = ""
    data_dir: Path | None = None
    _settings: Settings | None = None

    @classmethod
    def of(cls, context: typer.Context) -> Machine:
        """The machine the root command made for this call."""
        root = context.find_root()
        if not isinstance(root.obj, cls):
            root.obj = cls()
        return root.obj

    @property
    def settings(self) -> Settings:
        """The settings, read once; raises `SetupError` naming the wrong key."""
        if self._settings is None:
            self._settings = read_settings(self.data_dir)
        return self._settings

    @property
    def credential_path(self) -> Path:
        """Where `spectra up` leaves the credential of this machine."""
        return self.settings.data_dir / "credential.json"

    def credential(self) -> LocalCredential | None:
        """The credential of this machine; None where Spectra was never started here."""
        from spectra.identity.tokens import LocalCredential

        path = self.credential_path
        try:
            exists = path.exists()
        except PermissionError as error:
            raise SetupError(
                f"cannot read {path}: {error.strerror}",
                hint="Run as the user that started Spectra, or set SPECTRA_DATA_DIR.",
            ) from error
        return LocalCredential.load(path) if exists else None

    def client(
        self,
        *,
        attempts: int = 4,
        patient: bool = False,
        stop: threading.Event | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> Client:
        """A client of the server in question. The local token is sent to the local server alone."""
        from spectra.cli.client import Client

        url, token = self.server_and_token()
        return Client(url, token, attempts=attempts, patient=patient, stop=stop, notify=notify)

    def server_and_token(self) -> tuple[str, Bearer]:
        """URL and bearer token, or how to get the token of the moment.

        The server is `--server`, then the `server` setting, then this machine's own. The token is `SPECTRA_TOKEN`,
        then that of the session with this server, then this machine's own for its own server. Raises `Unreachable`
        where there is no server to ask.
        """
        url = self.server_url()
        if given := os.environ.get(TOKEN_VARIABLE, ""):
            return url, given
        if (session := self.session(url)) is not None:
            return url, session.token
        own = self.credential()
        return url, own.token if own and url in self._own_urls(own.url) else ""

    def server_url(self) -> str:
        """The server in question; raises `Unreachable` where there is none."""
        named = (self.server or self.settings.server).rstrip("/")
        if named:
            return named
        own = self.credential()
        if own is None:
            raise Unreachable(
                f"Spectra was not started here yet: there is no {self.credential_path}",
                hint="Start it with `spectra up --detach`, or name a server with --server.",
            )
        return self._local_url(own.url)

    def session(self, url: str) -> Keeper | None:
        """The session with a server, where somebody signed in to it and has not signed out."""
        from spectra.cli.sessions import Keeper

        keeper = Keeper.of(url)
        try:
            return keeper if keeper.path.exists() else None
        except PermissionError as error:
            raise SetupError(f"cannot read {keeper.path}: {error.strerror}", hint="Whose folder is it?") from error

    def _own_urls(self, recorded: str) -> set[str]:
        return {url.rstrip("/") for url in (recorded, self._local_url(recorded))}

    def _local_url(self, recorded: str) -> str:
        """Where this machine's server listens now: a later start may have been given another port."""
        from spectra.engines.lifecycle import running_state

        state = running_state(self.settings.data_dir)
        return state.url if state and state.url else recorded

    def signer(self) -> Signer:
        """The contributor and key of this machine, or those it signed in to the server with; raises `SetupError`
        where there is none.
        """
        from spectra.identity.keys import SigningKey

        if (session := self._session_with_key()) is not None:
            path = Path(session.key_file)
            return Signer(session.account, SigningKey.load(path), path)
        own = self.credential()
        if own is None:
            raise SetupError(
                f"there is no key to sign with: {self.credential_path} does not exist",
                hint="`spectra up` makes one on its first start.",
            )
        path = Path(own.key_file)
        path = path if path.is_absolute() else self.settings.data_dir / path
        return Signer(own.contributor, SigningKey.load(path), path)

    def _session_with_key(self) -> Session | None:
        try:
            keeper = self.session(self.server_url())
        except Unreachable:
            return None
        session = keeper.load() if keeper else None
        return session if session and session.key_file else None


def read_settings(data_dir: Path | None = None) -> Settings:
    """The settings of this process, with `--data-dir` over all; raises `SetupError` with a line per wrong key."""
    import yaml
    from pydantic import ValidationError

    from spectra.settings import Settings, config_dir

    try:
        return Settings(data_dir=data_dir.absolute()) if data_dir else Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise SetupError(
            f"the settings do not hold: {wrong}",
            hint=f"Look at {config_dir() / 'config.yaml'} and at SPECTRA_* variables.",
        ) from None
    except (yaml.YAMLError, OSError, TypeError) as error:
        where = config_dir() / "config.yaml"
        raise SetupError(f"cannot read the settings: {error}", hint=f"Look at {where}.") from error
