"""The folder of the built-in CA: seven files of mode 0600, exchanged all together or not at all.

A change is written into `next/`, which is renamed to `ready/` once it is whole and on disk: from that moment it counts.
Its files are then moved into place, by whoever comes first where the writer was killed. So a crash at any point leaves
the old CA or the new one, never the key of one beside the certificate of the other. A lock keeps two processes apart.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate

from spectra.errors import SetupError
from spectra.identity import private_file, x509
from spectra.identity.errors import IdentityError
from spectra.identity.provisioner import Provisioner
from spectra.identity.x509 import PrivateKey

MAX_ROOTS: Final = 3
"""Trusted at a time: one, and those it is taking over from. It bounds the chain that follows a leaf."""

_FILES: Final = (
    "root.key",
    "root.crt",
    "intermediate.key",
    "intermediate.crt",
    "provisioner.json",
    "roots.pem",
    "cross.pem",
)


@dataclass(frozen=True)
class Material:
    """What a CA consists of. `roots[0]` is the current root; `crosses[i]` is the key of `roots[i]`, certified by
    `roots[i + 1]`, which those accept who know the older root only.
    """

    root_key: PrivateKey
    roots: tuple[Certificate, ...]
    crosses: tuple[Certificate, ...]
    intermediate_key: PrivateKey
    intermediate: Certificate
    provisioner: Provisioner


def create(folder: Path, material: Material) -> None:
    """Write a new CA. Raises `SetupError` where there is one already."""
    with _locked(folder):
        if _exists(folder):
            raise SetupError(f"{folder} holds a CA already; it is kept.")
        _write(folder, material)


def read(folder: Path) -> Material:
    """The CA in the folder. Raises `SetupError`: absent, open to others, or its parts do not belong together."""
    found = read_or_none(folder)
    if found is None:
        raise SetupError(f"there is no CA in {folder}.")
    return found


def read_or_none(folder: Path) -> Material | None:
    """As `read`; None where there is no CA."""
    if not folder.is_dir():
        return None
    with _locked(folder):
        return _read(folder) if _exists(folder) else None


def replace(folder: Path, before: Material, after: Material) -> None:
    """Exchange the CA `before` for `after`. Raises `SetupError` where another process has changed it meanwhile."""
    with _locked(folder):
        found = _read(folder)
        if (found.roots, found.intermediate) != (before.roots, before.intermediate):
            raise SetupError("another process has changed the CA meanwhile.", hint="Load it again and repeat.")
        _write(folder, after)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """One process at a time, and what an interrupted one had finished writing is moved into place first."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SetupError(f"cannot use {folder}: {error.strerror}.") from error
    with os.fdopen(fd, "rb"):
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            _roll_forward(folder)
            yield
        except OSError as error:
            raise SetupError(f"cannot write in {folder}: {error.strerror}.") from error


def _exists(folder: Path) -> bool:
    return any((folder / name).exists() for name in _FILES)


def _write(folder: Path, material: Material) -> None:
    texts: tuple[bytes, ...] = (
        x509.key_pem(material.root_key),
        x509.pem(material.roots[0]).encode(),
        x509.key_pem(material.intermediate_key),
        x509.pem(material.intermediate).encode(),
        material.provisioner.to_json(),
        x509.pem(*material.roots).encode(),
        x509.pem(*material.crosses).encode(),
    )
    spare = folder / "next"
    shutil.rmtree(spare, ignore_errors=True)
    for name, text in zip(_FILES, texts, strict=True):
        private_file.write(spare / name, text)
    spare.rename(folder / "ready")
    private_file.sync_folder(folder)
    _roll_forward(folder)


def _roll_forward(folder: Path) -> None:
    ready = folder / "ready"
    if not ready.is_dir():
        return
    for path in ready.iterdir():
        path.replace(folder / path.name)
    private_file.sync_folder(folder)
    ready.rmdir()


def _read(folder: Path) -> Material:
    try:
        texts = {name: private_file.read(folder / name) for name in _FILES}
        roots = _certificates(texts["roots.pem"])
        material = Material(
            root_key=x509.parse_key(texts["root.key"]),
            roots=roots,
            crosses=_certificates(texts["cross.pem"]) if texts["cross.pem"] else (),
            intermediate_key=x509.parse_key(texts["intermediate.key"]),
            intermediate=_certificates(texts["intermediate.crt"])[0],
            provisioner=Provisioner.from_json(texts["provisioner.json"]),
        )
        flaw = "" if _certificates(texts["root.crt"]) == roots[:1] else "root.crt is not the first of roots.pem"
    except IdentityError as error:
        raise SetupError(f"the CA in {folder} cannot be read: {error.message}") from error
    if flaw := flaw or _flaw(material):
        raise SetupError(f"the CA in {folder} is damaged: {flaw}.", hint="Restore the folder from a backup.")
    return material


def _certificates(text: bytes) -> tuple[Certificate, ...]:
    return x509.read_pem(text.decode("utf-8", "replace"), MAX_ROOTS)


def _flaw(found: Material) -> str:
    """Which parts do not belong together; empty if all do."""
    root = found.roots[0]
    if x509.spki(root) != x509.spki(found.root_key):
        return "root.key is not the key of root.crt"
    if x509.spki(found.intermediate) != x509.spki(found.intermediate_key):
        return "intermediate.key is not the key of intermediate.crt"
    if not issued_by(root, root) or not issued_by(found.intermediate, root):
        return "intermediate.crt is not issued by root.crt"
    if len(found.crosses) != len(found.roots) - 1:
        return "cross.pem does not lead from each root to the one before"
    steps = zip(found.crosses, found.roots, found.roots[1:], strict=False)
    if not all(x509.spki(cross) == x509.spki(new) and issued_by(cross, old) for cross, new, old in steps):
        return "cross.pem does not lead from each root to the one before"
    return ""


def issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the names fit and the issuer's key made the signature; nothing else is looked at."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
