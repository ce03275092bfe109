"""Keys, credentials and quotes of a real TPM 2.0 implementation (swtpm), by the real tpm2-tools."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from spectra.collect import tpm as tpms
from spectra.collect.tpm import Tpm, TpmError, open_tpm
from spectra.errors import SetupError
from spectra.identity.errors import IdentityError
from spectra.identity.tpm import TpmPublic, qualified_name, read_public, require_endorsement, verify_quote
from spectra.identity.tpmcredential import make_credential
from spectra.model.attestations import Quote, TpmKeys
from tests.support.papertpm import PaperTpm, self_signed
from tests.support.swtpm import SoftTpm, soft, soft_tpm

__all__ = ["soft"]

NONCE = b"n" * 32
PCRS: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)


@pytest.fixture
def tpm(soft: SoftTpm, tmp_path: Path) -> Tpm:
    """Reached as a node reaches it."""
    return Tpm(soft.tcti, tmp_path / "tpm")


def publics(keys: TpmKeys) -> tuple[TpmPublic, TpmPublic]:
    """The endorsement key and the attestation key."""
    return read_public(keys.ek), read_public(keys.ak)


def told(quote: Quote, ak: TpmPublic, pcrs: tuple[int, ...] = PCRS, nonce: bytes = NONCE) -> dict[str, str]:
    """What a quote says, verified."""
    values = dict(zip(pcrs, quote.pcrs, strict=True))
    return verify_quote(ak, quote.quote, quote.signature, nonce=nonce, pcrs=values).state


def test_a_tpm_shows_its_keys_and_quotes(tpm: Tpm) -> None:
    """The keys are what they have to be, the quote holds, and who signed is the key below the endorsement key."""
    with tpm.session() as session:
        keys, quote = session.keys(), session.quote(NONCE, PCRS)
    ek, ak = publics(keys)
    require_endorsement(ek)
    assert session.name == ak.name.hex()
    values = dict(zip(PCRS, quote.pcrs, strict=True))
    quoted = verify_quote(ak, quote.quote, quote.signature, nonce=NONCE, pcrs=values)
    assert quoted.state == {f"pcr:{pcr}": "00" * 32 for pcr in PCRS}
    assert quoted.signer == qualified_name(ek, ak)


def test_the_tpm_opens_what_is_made_for_it(tpm: Tpm) -> None:
    """A credential that Python made comes out of the TPM."""
    with tpm.session() as session:
        ek, ak = publics(session.keys())
        assert session.activate(make_credential(ek, ak.name, b"s" * 32)) == b"s" * 32


def test_the_tpm_opens_nothing_made_for_another(tpm: Tpm) -> None:
    """Not for another key in it, nor for another TPM, nor what was changed on the way."""
    other = PaperTpm().keys
    with tpm.session() as session:
        ek, ak = publics(session.keys())
        good = make_credential(ek, ak.name, b"s" * 32)
        wrong = [make_credential(ek, read_public(other.ak).name, b"s" * 32), good[:-1] + bytes([good[-1] ^ 1]), b""]
        wrong.append(make_credential(read_public(other.ek), ak.name, b"s" * 32))
        for credential in wrong:
            with pytest.raises(TpmError):
                session.activate(credential)
        assert session.activate(good) == b"s" * 32  # nothing is left in the TPM's few slots


def test_a_changed_pcr_is_in_the_next_quote(tpm: Tpm, soft: SoftTpm) -> None:
    """What was measured meanwhile shows; the values of before do not pass for those quoted now."""
    with tpm.session() as session:
        ak = publics(session.keys())[1]
        before = session.quote(NONCE, PCRS)
        soft.extend(7)
        after = session.quote(NONCE, PCRS)
    assert told(after, ak)["pcr:7"] != told(before, ak)["pcr:7"]
    with pytest.raises(IdentityError):
        told(Quote(quote=after.quote, signature=after.signature, pcrs=before.pcrs), ak)


def test_all_pcrs_can_be_asked_for(tpm: Tpm) -> None:
    """24 take several rounds to read; one alone is one."""
    with tpm.session() as session:
        ak = publics(session.keys())[1]
        for pcrs in (tuple(range(24)), (23,), (0, 9, 17)):
            assert set(told(session.quote(NONCE, pcrs), ak, pcrs)) == {f"pcr:{pcr}" for pcr in pcrs}


def test_the_key_outlives_a_reboot(tpm: Tpm, soft: SoftTpm) -> None:
    """After the power was off the same attestation key signs, and it is for the owner's eyes only."""
    with tpm.session() as session:
        before = session.keys()
    soft.reboot()
    with tpm.session() as session:
        assert session.keys() == before
        told(session.quote(NONCE, PCRS), publics(before)[1])
    folder = tpm._folder
    assert sorted(path.name for path in folder.iterdir()) == ["ak.priv", "ak.pub"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_another_tpm_makes_another_key(tpm: Tpm, soft: SoftTpm, tmp_path: Path) -> None:
    """A disk that is put into another machine, or a TPM that was cleared, does not stop a node; it shows."""
    with tpm.session() as session:
        before = session.keys()
    with soft_tpm() as second, Tpm(second.tcti, tmp_path / "tpm").session() as session:
        moved = session.keys()
        told(session.quote(NONCE, PCRS), publics(moved)[1])
    soft.clear()
    with tpm.session() as session:
        cleared = session.keys()
    assert len({keys.ek for keys in (before, moved, cleared)}) == 3
    assert len({keys.ak for keys in (before, moved, cleared)}) == 3


def test_the_makers_certificate_is_found(tpm: Tpm, soft: SoftTpm) -> None:
    """Where one lies in the TPM it comes with the keys, without what the index has after it."""
    certificate = self_signed().public_bytes(Encoding.DER)
    padded = certificate + bytes(64)
    (soft.folder / "ek.crt").write_bytes(padded)
    attributes = "ownerread|ownerwrite|authread|authwrite"
    soft.run("tpm2_nvdefine", "0x01C00002", "-C", "o", "-s", str(len(padded)), "-a", attributes)
    soft.run("tpm2_nvwrite", "0x01C00002", "-C", "o", "-i", "ek.crt")
    with tpm.session() as session:
        assert session.keys().ek_certificate == certificate
    x509.load_der_x509_certificate(certificate)


def test_a_tpm_that_is_off_is_an_error(tpm: Tpm, soft: SoftTpm) -> None:
    """It says what failed, and may be tried again."""
    soft.stop()
    with pytest.raises(TpmError, match="tpm2_createek failed") as caught, tpm.session():
        pass
    assert caught.value.retryable
    soft.start()
    with tpm.session() as session:
        assert session.name


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TPM that never answers costs the time limit."""
    hanging = tmp_path / "bin" / "tpm2_createek"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hanging.parent}:{os.environ['PATH']}")
    with pytest.raises(TpmError, match="no answer within"), Tpm("device:/dev/null", tmp_path, timeout_s=0.2).session():
        pass


def test_the_setting_says_which(soft: SoftTpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`off` is none, a TCTI is that TPM, `auto` the kernel's where there is one; no program to run is taken for one."""
    assert open_tpm("off", tmp_path) is None
    assert isinstance(found := open_tpm(soft.tcti, tmp_path), Tpm)
    assert found.tcti == soft.tcti
    for wrong in ("on", "cmd:sh -c id", "swtpm:path=a b", "device:\n", ""):
        with pytest.raises(SetupError):
            open_tpm(wrong, tmp_path)
    monkeypatch.setattr(tpms, "DEVICE", tmp_path / "none")
    assert open_tpm("auto", tmp_path) is None
    monkeypatch.setattr(tpms, "DEVICE", Path("/dev/null"))
    assert isinstance(found := open_tpm("auto", tmp_path), Tpm)
    assert found.tcti == "device:/dev/null"


def test_without_the_tools_there_is_no_tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` goes without; who asks for one by name is told what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tpms, "DEVICE", Path("/dev/null"))
    assert shutil.which("tpm2_quote") is None
    assert open_tpm("auto", tmp_path) is None
    with pytest.raises(SetupError, match="tpm2-tools"):
        open_tpm("device:/dev/tpmrm0", tmp_path)
