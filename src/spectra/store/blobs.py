"""Raw originals, content-addressed by SHA-256, in a local folder or any S3 (through obstore).

What is read is hashed again: a blob that is not what its address says is reported, never served.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from spectra.errors import Corrupt, NotFound, SetupError, Unavailable
from spectra.settings import BlobSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

T = TypeVar("T")

_CLIENT: Final[ClientConfig] = {"allow_http": True, "timeout": "30s", "connect_timeout": "5s"}
_RETRY: Final[RetryConfig] = {"max_retries": 3}


# ENOSPC and EDQUOT as the operating system says them, and an S3's answer for a full disk or quota (HTTP 507).
_FULL: Final = re.compile(
    r"No space left on device|Disk quota exceeded|os error (?:28|122)\b|507 Insufficient Storage|XMinioStorageFull"
)


class BlobStore:
    """A folder or bucket of blobs. `put` returns once the bytes are durable."""

    def __init__(self, store: LocalStore | S3Store, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def local(cls, folder: Path) -> BlobStore:
        """Blobs in `folder`, which is made (mode 0700) if need be; `SetupError` where it cannot be."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SetupError(
                f"The blob folder {folder} cannot be made: {error.strerror}.",
                hint="Choose another with SPECTRA_BLOBS__URL, or the data folder with SPECTRA_DATA_DIR.",
            ) from error
        return cls(LocalStore(prefix=folder, mkdir=True), folder)

    @classmethod
    def from_settings(cls, settings: BlobSettings, data_dir: Path) -> BlobStore:
        """The store that the settings name; by default `blobs/` in the data folder. `SetupError` for another scheme."""
        if not settings.url.startswith("s3://"):
            folder = settings.url.removeprefix("file://")
            if "://" in folder:
                raise SetupError(
                    f"blobs.url is {folder.partition('://')[0]}://..., which is no blob store known here.",
                    hint="Write it as file:///folder or s3://bucket/prefix.",
                )
            return cls.local(Path(folder) if folder else data_dir / "blobs")
        bucket, _, prefix = settings.url.removeprefix("s3://").partition("/")
        return cls(
            S3Store(bucket, prefix=prefix, config=_s3_config(settings), client_options=_CLIENT, retry_config=_RETRY)
        )

    def put(self, data: bytes) -> bytes:
        """Store `data` and return its address, the SHA-256 (32 bytes). Storing the same twice keeps one.

        A blob that is there already is read, so that sending the original again heals a damaged one.
        """
        digest = hashlib.sha256(data).digest()
        path = _path(digest)
        if not self._holds(path, data):
            _stored(lambda: obstore.put(self._store, path, data))
        if self._folder is not None:
            file = self._folder / path
            _stored(lambda: _fsync(file))  # also one that another writer may have put there only now
        return digest

    def get(self, digest: bytes) -> bytes:
        """The bytes at `digest`; raises `NotFound`, or `Corrupt` when they are not what was stored."""
        path = _path(digest)
        try:
            data = _call(lambda: bytes(obstore.get(self._store, path).bytes()))
        except FileNotFoundError as error:
            raise NotFound(f"Blob {digest.hex()} is missing from the blob store.", reason="blob_missing") from error
        if hashlib.sha256(data).digest() != digest:
            raise Corrupt(
                f"Blob {digest.hex()} does not hash to its address: its bytes were changed or damaged.",
                reason="blob_corrupt",
                hint="Restore it from a backup, or import the original file again.",
            )
        return data

    def discard(self, digest: bytes) -> None:
        """Remove a blob that only its caller knows; one that is gone already is no error."""
        with contextlib.suppress(FileNotFoundError):
            _call(lambda: obstore.delete(self._store, _path(digest)))

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return (
                _call(lambda: obstore.head(self._store, path))["size"] == len(data)
                and _call(lambda: bytes(obstore.get(self._store, path).bytes())) == data
            )
        except FileNotFoundError:
            return False


def _s3_config(settings: BlobSettings) -> S3Config:
    config: S3Config = {"region": settings.region, "virtual_hosted_style_request": False}
    if settings.endpoint:
        config["endpoint"] = settings.endpoint
    if settings.access_key_id:
        config["access_key_id"] = settings.access_key_id.get_secret_value()
    if settings.secret_access_key:
        config["secret_access_key"] = settings.secret_access_key.get_secret_value()
    return config


def _path(digest: bytes) -> str:
    name = digest.hex()
    return f"sha256/{name[:2]}/{name[2:4]}/{name}"


def _call(work: Callable[[], T]) -> T:
    """`FileNotFoundError` for a blob that is not there; all other trouble is `Unavailable`."""
    try:
        return work()
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise _away(error) from error


def _stored(work: Callable[[], object]) -> None:
    try:
        _call(work)
    except FileNotFoundError as error:  # the folder or bucket itself
        raise _away(error) from error


def _away(error: Exception) -> Unavailable:
    said = str(error).partition("\n")[0]  # further lines are for debugging
    if _FULL.search(str(error)):
        return Unavailable(
            f"The blob store's disk is full; nothing of this request was stored: {said}",
            reason="disk_full",
            hint="Free space, then send the same request again.",
        )
    return Unavailable(
        f"The blob store cannot be used: {said}",
        reason="blob_store_away",
        hint="Check its disk or server, then send the same request again.",
    )


def _fsync(path: Path) -> None:
    """Make a file and its name durable: obstore renames into place but leaves the flush to the kernel."""
    for target in (path, *list(path.parents)[:4]):  # sha256/ab/cd may be new, each in the one before
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
