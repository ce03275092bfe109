"""What both links share: the pauses between attempts, and the certificate they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.fabric.errors import MeshError
from spectra.fabric.link import FIRST_PAUSE_S, LONGEST_PAUSE_S, TlsFiles, pause


def test_pauses_grow_and_stay_bounded() -> None:
    """From a fifth of a second to half a minute, never nothing, whatever the number of failures."""
    assert 0.5 * FIRST_PAUSE_S <= pause(0) <= 1.5 * FIRST_PAUSE_S
    for failures in (1, 5, 20, 10**6):
        expected = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 20))
        assert 0.5 * expected <= pause(failures) <= 1.5 * expected
    assert len({pause(3) for _ in range(20)}) > 1


def test_files_that_are_absent_or_wrong_are_told(tmp_path: Path) -> None:
    """An error of ours that names the certificate, not one of the TLS library."""
    files = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "roots.pem")
    with pytest.raises(MeshError, match=r"tls\.crt"):
        files.context()
    for path in (files.cert, files.key, files.roots):
        path.write_text("no certificate")
    with pytest.raises(MeshError, match=r"tls\.crt"):
        files.context()
