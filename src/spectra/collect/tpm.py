"""The machine's TPM 2.0, by the programs of tpm2-tools (>= 5.0): keys, credentials and quotes.

Each program is run without a shell, with a time limit, in a folder made for the occasion. What is kept is `ak.pub` and
`ak.priv` in the node's own folder: the attestation key, its private half encrypted by the TPM that made it and useless
elsewhere. Everything else is made anew by the TPM each time, the endorsement key always the same.

Where no resource manager stands between us and the TPM (a simulator; `/dev/tpm0`), each program leaves its objects in
the TPM's few slots: `tpm2_flushcontext -t` after each clears them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final

from spectra.errors import SetupError, SpectraError
from spectra.identity import private_file
from spectra.identity.errors import IdentityError
from spectra.identity.tpm import read_public
from spectra.model.attestations import MAX_CERTIFICATE_BYTES, PCR_BYTES, Quote, TpmKeys

DEVICE: Final = Path("/dev/tpmrm0")
"""The kernel's resource manager: several programs may use the TPM at once."""

INSTALL: Final = "Install tpm2-tools (Debian, Ubuntu: apt install tpm2-tools), or set node.tpm to off."
TIMEOUT_S: Final = 60.0
"""Of one program. A TPM on a slow bus takes several seconds to make an RSA key."""

_PROGRAMS: Final = ("createek", "createak", "startauthsession", "policysecret", "load", "activatecredential", "quote")
# Not `cmd:`, which would run a program.
_TCTI: Final = re.compile(r"(device|swtpm|mssim|tabrmd)(:[\x21-\x7e]{1,300})?")
_EK_CERTIFICATE: Final = "0x01C00002"  # NV index of the RSA 2048 certificate ("EK Credential Profile" section 2.2.1.4)
_MAX_FILE: Final = 64 * 1024
_TRIES: Final = 3
_SAID: Final = 300


class TpmError(SpectraError):
    """The TPM, or the programs that speak to it, did not do what was asked. It may the next time: a TPM can be busy."""

    reason = "tpm"
    retryable: ClassVar[bool] = True


def open_tpm(setting: str, folder: Path, *, timeout_s: float = TIMEOUT_S) -> Tpm | None:
    """The TPM that the setting `node.tpm` names, None where there is none to use.

    `auto`: the kernel's, if this process may use it and tpm2-tools are installed. `off`: none. Else a TCTI as
    tpm2-tools take it, such as `device:/dev/tpmrm0`; then what is missing is a `SetupError`. Its key is in `folder`.
    """
    if setting == "off":
        return None
    if setting == "auto":
        usable = os.access(DEVICE, os.R_OK | os.W_OK) and not _missing()
        return Tpm(f"device:{DEVICE}", folder, timeout_s) if usable else None
    if _TCTI.fullmatch(setting) is None:
        raise SetupError(
            f"node.tpm is {setting[:80]!r}.", hint="Write auto, off, or a TCTI such as device:/dev/tpmrm0."
        )
    if missing := _missing():
        raise SetupError(f"{missing} is not installed.", hint=INSTALL)
    return Tpm(setting, folder, timeout_s)


def _missing() -> str:
    return next((f"tpm2_{name}" for name in _PROGRAMS if shutil.which(f"tpm2_{name}") is None), "")


class Tpm:
    """A TPM that `tcti` leads to; nothing is asked of it before `session`."""

    def __init__(self, tcti: str, folder: Path, timeout_s: float = TIMEOUT_S) -> None:
        self.tcti = tcti
        self._folder = folder
        self._timeout_s = timeout_s

    @contextmanager
    def session(self) -> Generator[Session]:
        """The TPM with its keys loaded. The first time, and on another TPM than before, makes the attestation key."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            work = tempfile.TemporaryDirectory(prefix=".session-", dir=self._folder, ignore_cleanup_errors=True)
        except OSError as error:
            raise TpmError(f"the TPM's folder {self._folder} cannot be used: {error.strerror}.") from error
        with work as name:
            yield Session(Path(name), self._folder, self.tcti, self._timeout_s)


class Session:
    """What can be asked of a TPM. Raises `TpmError` where it does not answer as it should."""

    def __init__(self, work: Path, folder: Path, tcti: str, timeout_s: float) -> None:
        self._work = work
        self._timeout_s = timeout_s
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "TPM2TOOLS_TCTI": tcti, "LC_ALL": "C"}
        self._run("createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub")
        if not self._load(folder / "ak.pub", folder / "ak.priv"):
            self._make()
            for part in ("ak.priv", "ak.pub"):  # the public half last: both are there, or it is made again
                private_file.write(folder / part, self._read(part), overwrite=True)
        try:
            self.name = read_public(self._read("ak.pub")).name.hex()
        except IdentityError as error:
            raise TpmError(f"the TPM made an unusable key: {error.message}") from error

    def keys(self) -> TpmKeys:
        """The public keys, and the endorsement key's certificate where the TPM's maker left one in it."""
        return TpmKeys(ek=self._read("ek.pub"), ak=self._read("ak.pub"), ek_certificate=self._certificate())

    def activate(self, credential: bytes) -> bytes:
        """What a credential holds that was made for this TPM and its attestation key, and for no other."""
        self._write("credential", credential)
        with self._authorised() as session:
            run = ("-c", "ak.ctx", "-C", "ek.ctx", "-i", "credential", "-o", "secret", "-P", session)
            self._run("activatecredential", *run)
        return self._read("secret")

    def quote(self, nonce: bytes, pcrs: Sequence[int], secret: bytes = b"") -> Quote:
        """The TPM's word for the values of `pcrs` (ascending) in the SHA-256 bank."""
        selection = "sha256:" + ",".join(map(str, pcrs))
        run = ("-c", "ak.ctx", "-l", selection, "-q", nonce.hex(), "-g", "sha256", "-m", "quote", "-s", "signature")
        self._again("quote", *run, "-o", "pcrs", "-F", "values")
        values = self._read("pcrs")
        if len(values) != PCR_BYTES * len(pcrs):
            raise TpmError("the TPM has no SHA-256 bank of these PCRs.")
        parts = tuple(values[at : at + PCR_BYTES] for at in range(0, len(values), PCR_BYTES))
        return Quote(quote=self._read("quote"), signature=self._read("signature"), pcrs=parts, secret=secret)

    def _load(self, public: Path, private: Path) -> bool:
        """Whether the key of before is loaded. It is not where there is none, or the TPM is another or was cleared."""
        try:
            parts = private_file.read(public), private_file.read(private)
        except SetupError:
            return False
        for name, data in zip(("ak.pub", "ak.priv"), parts, strict=True):
            self._write(name, data)
        with self._authorised() as session:
            run = ("-C", "ek.ctx", "-u", "ak.pub", "-r", "ak.priv", "-c", "ak.ctx", "-P", session)
            return not self._tried("load", *run)

    def _make(self) -> None:
        kind = ("-G", "ecc", "-g", "sha256", "-s", "ecdsa")  # P-256: an RSA key takes a TPM many seconds
        self._run("createak", "-C", "ek.ctx", "-c", "ak.ctx", *kind, "-u", "ak.pub", "-r", "ak.priv")

    @contextmanager
    def _authorised(self) -> Generator[str]:
        """The policy that lets the endorsement key be used as a parent: one knows the secret of its hierarchy."""
        self._run("startauthsession", "--policy-session", "-S", "session.ctx")
        try:
            self._run("policysecret", "-S", "session.ctx", "-c", "e")
            yield "session:session.ctx"
        finally:
            self._tried("flushcontext", "session.ctx")

    def _certificate(self) -> bytes:
        """A DER certificate; the index may be longer than what is in it."""
        if self._tried("nvread", _EK_CERTIFICATE, "-o", "ek.crt"):
            return b""
        data = self._read("ek.crt")
        if len(data) < 4 or data[:2] != b"\x30\x82":  # a SEQUENCE whose length stands in the two bytes that follow
            return b""
        whole = data[: 4 + int.from_bytes(data[2:4], "big")]
        return whole if len(whole) <= MAX_CERTIFICATE_BYTES else b""

    def _again(self, program: str, *arguments: str) -> None:
        """As `_run`; a PCR may be extended while it is quoted, which the program notices."""
        for _ in range(_TRIES - 1):
            if not self._tried(program, *arguments):
                return
        self._run(program, *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        if said := self._tried(program, *arguments):
            raise TpmError(f"tpm2_{program} failed: {said}", hint="Is the TPM there, and may this user use it?")

    def _tried(self, program: str, *arguments: str) -> str:
        """What a program said as it failed, empty where it did not."""
        said = self._called(program, *arguments)
        if program != "flushcontext":
            self._called("flushcontext", "-t")  # fails behind some resource managers, where it is not needed
        return said

    def _called(self, program: str, *arguments: str) -> str:
        path = shutil.which(f"tpm2_{program}")
        if path is None:
            return f"it is not installed. {INSTALL}"
        try:
            done = subprocess.run(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self._work,
                env=self._environment,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {self._timeout_s:g} s"
        except OSError as error:
            return error.strerror or "it cannot be run"
        said = done.stderr.decode("utf-8", "replace").strip()
        return (said[-_SAID:] or f"code {done.returncode}") if done.returncode else ""

    def _read(self, name: str) -> bytes:
        with suppress(OSError), (self._work / name).open("rb") as file:
            return file.read(_MAX_FILE)
        raise TpmError(f"the TPM's programs wrote no {name}.")

    def _write(self, name: str, data: bytes) -> None:
        (self._work / name).write_bytes(data)
