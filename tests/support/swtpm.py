"""A TPM 2.0 for tests: swtpm speaks the protocol of a real one, over a socket in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.waiting import eventually


class SoftTpm:
    """A TPM that is switched on; `tcti` is how tpm2-tools reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tcti = f"swtpm:path={folder}/tpm"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch it on: its PCRs are empty, its keys are those of before."""
        channels = [f"type=unixio,path={self.folder}/tpm", f"type=unixio,path={self.folder}/tpm.ctrl"]
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}", "--server", channels[0]]
        command += ["--ctrl", channels[1], "--flags", "not-need-init,startup-clear"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: (self.folder / "tpm").exists() and (self.folder / "tpm.ctrl").exists())

    def stop(self) -> None:
        """Switch it off."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        for name in ("tpm", "tpm.ctrl"):
            (self.folder / name).unlink(missing_ok=True)

    def reboot(self) -> None:
        """Off and on again, as the machine's power goes."""
        self.stop()
        self.start()

    def extend(self, pcr: int, digest: str = "ab" * 32) -> None:
        """Measure something into a PCR, as firmware or a boot loader does."""
        self.run("tpm2_pcrextend", f"{pcr}:sha256={digest}")

    def clear(self) -> None:
        """Forget every key, as an owner who sells the machine does."""
        self.run("tpm2_clear", "-c", "p")
        self.run("tpm2_changeeps")

    def run(self, *command: str) -> bytes:
        """One of tpm2-tools, and what it printed."""
        environment = os.environ | {"TPM2TOOLS_TCTI": self.tcti}
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@contextlib.contextmanager
def soft_tpm() -> Generator[SoftTpm]:
    """A new TPM, on until the block ends. The folder's name is short: so has a socket's to be."""
    if missing := [name for name in ("swtpm", "tpm2_quote") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed (Debian: apt install swtpm tpm2-tools)")
    with tempfile.TemporaryDirectory(prefix="spectra-tpm-") as name:
        tpm = SoftTpm(Path(name))
        tpm.start()
        try:
            yield tpm
        finally:
            tpm.stop()


@pytest.fixture
def soft() -> Iterator[SoftTpm]:
    """A TPM of the test's own."""
    with soft_tpm() as made:
        yield made
