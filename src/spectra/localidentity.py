"""The admin identity of a coordinator's own machine, by which its command line is let in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from spectra.identity import tokens
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential
from spectra.store import keys
from spectra.store.database import Database

LOCAL_CONTRIBUTOR: Final = "local-admin"
_LOCAL_KEY: Final = "keys/local.pem"  # below the data folder, so that a restored folder may lie elsewhere


def ensure_local_identity(database: Database, data_dir: Path, url: str, now: datetime) -> LocalCredential:
    """The admin identity of this machine and the credential by which its command line is let in.

    Made on first start; later starts only bring the URL up to date. A database that does not know the key or the
    token (a new one under an old data folder) learns them. Where the credential was removed, because its token leaked,
    a new one is made and the tokens before it are revoked; not those of other coordinators by one that is new.
    """
    path, key_file = data_dir / "credential.json", data_dir / _LOCAL_KEY
    is_new = not key_file.exists()
    if not is_new:
        key = SigningKey.load(key_file)
    else:
        key = SigningKey.generate()
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key.save(key_file)
    if path.exists():
        old = LocalCredential.load(path)
        credential = LocalCredential(url, old.token, old.contributor, _LOCAL_KEY)
    else:
        credential = LocalCredential(url, tokens.new_token(), LOCAL_CONTRIBUTOR, _LOCAL_KEY)
        if not is_new:
            keys.revoke_credentials(database, LOCAL_CONTRIBUTOR, now)
    if keys.find(database, key.public.keyid) is None:
        keys.register(
            database,
            contributor=credential.contributor,
            role="admin",
            public_key=key.public.raw,
            keyid=key.public.keyid,
            now=now,
            comment="made on first start",
        )
    keys.add_credential(database, digest=tokens.digest(credential.token), contributor=credential.contributor, now=now)
    credential.save(path)
    return credential
