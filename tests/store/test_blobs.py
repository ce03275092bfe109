"""Raw originals, in a folder and in an S3: what goes in comes out, or nothing does."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from spectra.errors import Corrupt, NotFound, SetupError, Unavailable
from spectra.settings import BlobSettings
from spectra.store.blobs import BlobStore
from tests.support.s3 import s3_endpoint, s3_settings
from tests.support.weeds import Weed, seaweedfs

__all__ = ["s3_endpoint", "seaweedfs"]

pytestmark = pytest.mark.engine

DATA = b"what nmap said " * 1000
DIGEST = hashlib.sha256(DATA).digest()
PATH = f"sha256/{DIGEST.hex()[:2]}/{DIGEST.hex()[2:4]}/{DIGEST.hex()}"

Overwrite = Callable[[bytes], object]
Backend = tuple[BlobStore, Overwrite]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the local store keeps its blobs."""
    return tmp_path / "blobs"


@pytest.fixture(params=["folder", "s3", "seaweedfs"])
def backend(request: pytest.FixtureRequest, folder: Path) -> Backend:
    """A store of each kind, and a way to put other bytes in the place of `DATA` behind its back."""
    if request.param == "folder":
        return BlobStore.local(folder), (folder / PATH).write_bytes
    if request.param == "seaweedfs":
        server: Weed = request.getfixturevalue("seaweedfs")
        corner = secrets.token_hex(8)
        directly = server.store(corner)
        return BlobStore.from_settings(server.settings(corner), folder), lambda data: obstore.put(directly, PATH, data)
    endpoint: str = request.getfixturevalue("s3_endpoint")
    prefix = secrets.token_hex(8)  # a corner of the bucket of the test's own
    behind = S3Store(
        "blobs",
        prefix=prefix,
        endpoint=endpoint,
        access_key_id="id",
        secret_access_key="secret",
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    store = BlobStore.from_settings(s3_settings(endpoint, f"s3://blobs/{prefix}"), folder)
    return store, lambda data: obstore.put(behind, PATH, data)


def test_what_goes_in_comes_out(backend: Backend) -> None:
    """Under its SHA-256, also when it is empty or many megabytes."""
    store, _ = backend
    for data in (DATA, b"", os.urandom(5 << 20)):
        digest = store.put(data)
        assert digest == hashlib.sha256(data).digest()
        assert store.get(digest) == data


def test_the_same_blob_twice_is_one(backend: Backend) -> None:
    """Eight writers of the same bytes at once are no trouble either."""
    store, _ = backend
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(store.put, [DATA] * 16)) == {DIGEST}
    assert store.get(DIGEST) == DATA


@pytest.mark.parametrize("damaged", [DATA[:-1] + b"!", DATA[:-1], b""], ids=["a byte", "cut", "emptied"])
def test_a_damaged_blob_is_reported_and_healed(backend: Backend, damaged: bytes) -> None:
    """Never served; sending the original again puts it right."""
    store, overwrite = backend
    store.put(DATA)
    overwrite(damaged)
    with pytest.raises(Corrupt, match="does not hash to its address") as caught:
        store.get(DIGEST)
    assert caught.value.reason == "blob_corrupt"
    store.put(DATA)
    assert store.get(DIGEST) == DATA


def test_a_missing_blob_is_not_found(backend: Backend) -> None:
    """And discarding what is gone is no error."""
    store, _ = backend
    store.put(DATA)
    for _ in range(2):
        store.discard(DIGEST)
    with pytest.raises(NotFound, match="is missing") as caught:
        store.get(DIGEST)
    assert caught.value.reason == "blob_missing"


def test_a_folder_is_private(folder: Path) -> None:
    """Only its owner enters it, and blobs lie in it by their digest."""
    BlobStore.local(folder).put(DATA)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / PATH).read_bytes() == DATA


@pytest.mark.parametrize("url", ["", "file://"])
def test_the_settings_name_a_folder(tmp_path: Path, url: str) -> None:
    """Another one, or `blobs/` in the data folder."""
    named = tmp_path / "elsewhere"
    store = BlobStore.from_settings(BlobSettings(url=f"{url}{named}" if url else ""), tmp_path)
    store.put(DATA)
    assert ((named if url else tmp_path / "blobs") / PATH).is_file()


@pytest.mark.parametrize("url", ["gs://bucket/x", "https://s3.example/bucket", "S3://bucket"])
def test_a_scheme_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Originals must not end in a folder of that name where the process happens to run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match="no blob store known here"):
        BlobStore.from_settings(BlobSettings(url=url), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """At start, naming it and the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="file/blobs cannot be made: Not a directory"):
        BlobStore.local(tmp_path / "file" / "blobs")


def test_a_folder_that_cannot_be_written_is_unavailable(folder: Path) -> None:
    """Nothing is acknowledged, the reason is told in one line, and after it was repaired the same blob is stored."""
    store = BlobStore.local(folder)
    (folder / "sha256").write_text("in the way")
    for work in (lambda: store.put(DATA), lambda: store.get(DIGEST), lambda: store.discard(DIGEST)):
        with pytest.raises(Unavailable, match="Not a directory") as caught:
            work()
        assert caught.value.reason == "blob_store_away"
        assert "\n" not in caught.value.message
    (folder / "sha256").unlink()
    assert store.get(store.put(DATA)) == DATA


def test_a_folder_that_vanished_is_made_again_or_told(folder: Path) -> None:
    """A blob store whose folder was removed while it ran loses nothing silently."""
    store = BlobStore.local(folder)
    store.put(DATA)
    shutil.rmtree(folder)
    with pytest.raises(NotFound):
        store.get(DIGEST)
    with contextlib.suppress(Unavailable):
        assert store.get(store.put(DATA)) == DATA


@pytest.fixture
def full_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 256 KiB with 200 KiB of ballast."""
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.decode().strip()}")
    (mount / "ballast").write_bytes(bytes(200 << 10))
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_is_unavailable(full_disk: Path) -> None:
    """Nothing half written is taken for a blob, nor left in the way, and after space was freed it goes on."""
    store = BlobStore.local(full_disk / "blobs")
    big = os.urandom(100 << 10)
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"disk is full.*No space left") as caught:
            store.put(big)
        assert caught.value.reason == "disk_full"  # as the database's own
    with pytest.raises(NotFound):
        store.get(hashlib.sha256(big).digest())
    (full_disk / "ballast").unlink()
    assert store.get(store.put(big)) == big
    again = os.urandom(100 << 10)  # fits only if the failed attempts left nothing behind
    assert store.get(store.put(again)) == again


def test_an_s3_that_is_away_is_unavailable(s3_endpoint: str, folder: Path) -> None:
    """No such bucket, or nobody listening: nothing is acknowledged. Secrets stay out of the message."""
    no_bucket = BlobStore.from_settings(s3_settings(s3_endpoint, "s3://no-such-bucket"), folder)
    nobody = BlobStore.from_settings(s3_settings("http://127.0.0.1:1"), folder)
    for store in (no_bucket, nobody):
        with pytest.raises(Unavailable) as caught:
            store.put(DATA)
        assert caught.value.reason == "blob_store_away"
        assert "secret" not in str(caught.value)
    with pytest.raises(Unavailable):
        nobody.get(DIGEST)


def test_an_s3_takes_its_credentials_from_the_machine(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the settings hold none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = BlobSettings(url="s3://blobs", endpoint=s3_endpoint)
    store = BlobStore.from_settings(settings, Path())
    assert store.get(store.put(DATA)) == DATA
