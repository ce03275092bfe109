"""smallstep's own programs: the `step` client and the `step-ca` server, where `scripts/install_step.py` put them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import eventually

TOOLS = Path(__file__).parents[2] / ".tools" / "go" / "bin"
PASSWORD = "a password of tests"
PROVISIONER = "spectra"


def program(name: str, script: str = "install_step.py") -> Path:
    """Where it is; the test is skipped where it is not, and says which script installs it."""
    found = TOOLS / name if os.access(TOOLS / name, os.X_OK) else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} not installed (with Go: python scripts/{script})")
    return Path(found)


class Step:
    """The client, with a configuration of its own below `folder`; files that it makes are there too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._program = program("step")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`step WORDS`, ended; what it said for people and for pipes is in `stdout` together."""
        environment = os.environ | {"STEPPATH": str(self.folder / "step"), "HOME": str(self.folder)}
        return subprocess.run(
            [self._program, *words],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        """What `step WORDS` says, which ends with `code`."""
        done = self.run(*words)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def inspect(self, name: str) -> Any:
        """What it reads in a certificate."""
        return json.loads(self("certificate", "inspect", name, "--format", "json"))


class StepCaServer:
    """A step-ca of the test's own on loopback, with one JWK provisioner whose key is under `PASSWORD`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._program = program("step-ca")
        self.step = Step(folder)
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self._port = free.getsockname()[1]
        self.url = f"https://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.password = self._private("password", PASSWORD)
        self._make()
        self.fingerprint = self.step("certificate", "fingerprint", "step/certs/root_ca.crt").strip()
        self.key = self._private("provisioner.jwe", self._config()["authority"]["provisioners"][0]["encryptedKey"])

    def _make(self) -> None:
        words = ["--name", "Tests", "--dns", "127.0.0.1", "--address", f"127.0.0.1:{self._port}"]
        words += ["--provisioner", PROVISIONER, "--deployment-type", "standalone"]
        words += ["--password-file", "password", "--provisioner-password-file", "password"]
        self.step("ca", "init", *words)
        # An hour old: step-ca looks whether a chain held a minute before the end of an expired certificate.
        new = ["certificate", "create", "--force", "--not-before=-1h", "--password-file", "password"]
        root = ["step/certs/root_ca.crt", "step/secrets/root_ca_key"]
        self.step(*new, "--profile", "root-ca", "Tests Root CA", *root)
        below = ["--profile", "intermediate-ca", "--ca", root[0], "--ca-key", root[1], "--ca-password-file", "password"]
        own = ["step/certs/intermediate_ca.crt", "step/secrets/intermediate_ca_key"]
        self.step(*new, *below, "Tests Intermediate CA", *own)
        config = self._config()
        config["db"] = {"type": "bbolt", "dataSource": str(self.folder / "step.db")}  # what we compiled in
        config["authority"]["provisioners"][0]["claims"] = {
            "minTLSCertDuration": "1s",
            "allowRenewalAfterExpiry": True,
        }
        (self.folder / "step/config/ca.json").write_text(json.dumps(config))

    def _config(self) -> Any:
        return json.loads((self.folder / "step/config/ca.json").read_text())

    def _private(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.touch(0o600)
        path.write_text(content)
        return path

    @property
    def logged(self) -> str:
        """All that it wrote."""
        path = self.folder / "step-ca.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [self._program, self.folder / "step/config/ca.json", "--password-file", self.password]
        with (self.folder / "step-ca.log").open("ab") as log:
            process = self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        words = ["ca", "health", "--ca-url", self.url, "--root", "step/certs/root_ca.crt"]
        eventually(lambda: process.poll() is not None or self.step.run(*words).returncode == 0)
        assert process.poll() is None, self.logged[-2000:]

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


@contextlib.contextmanager
def step_ca(folder: Path) -> Generator[StepCaServer]:
    """A step-ca, until the block ends."""
    server = StepCaServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
