"""Signing in by a code: what is shown, how often is asked, and what ends it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest

from spectra.cli.devicelogin import NotLetIn, with_device
from spectra.cli.sessions import TOKEN_PATH, Keeper
from spectra.errors import SpectraError
from spectra.identity.tokens import LocalCredential
from spectra.model.people import DeviceAnswer
from tests.cli.standin import Answer, StandIn
from tests.cli.test_sessions import token

DEVICE = DeviceAnswer("secret", "BCDF-GHJK", "http://s/device", "http://s/device?code=BCDF-GHJK", 60, 5)
ISSUED = {"access_token": token(), "token_type": "Bearer", "expires_in": 600, "scope": "", "refresh_token": "r1"}


def refused(error: str) -> Answer:
    """An error of the token endpoint."""
    return Answer(400, (f'{{"error":"{error}"}}'.encode(),), {"content-type": "application/json"})


@pytest.fixture
def keeper(server: StandIn, data_dir: Path) -> Keeper:
    """The keeper of the session with the stand-in, which shows a code."""
    server.say("POST", "/v0/auth/device", DEVICE)
    return Keeper.of(LocalCredential.load(data_dir / "credential.json").url)


def test_let_in(keeper: Keeper, server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """The code is shown and not the secret; it asks as often as it may, and slower when told so."""
    waited: list[float] = []
    answers = [refused("authorization_pending"), refused("slow_down"), refused("authorization_pending"), ISSUED]
    server.say("POST", TOKEN_PATH, *answers)
    session = with_device(keeper, scope="hosts:read", wait=waited.append)
    assert (session.account, session.refresh_token, session.scope) == ("alice", "r1", "hosts:read")
    assert waited == [5, 5, 10, 10]
    said = capsys.readouterr().err
    assert "http://s/device" in said
    assert "BCDF-GHJK" in said
    assert "secret" not in said
    (asked,) = server.asked("/v0/auth/device")
    assert parse_qs(asked.body.decode()) == {"client_id": ["spectra-cli"], "scope": ["hosts:read"]}
    assert parse_qs(server.asked(TOKEN_PATH)[0].body.decode())["device_code"] == ["secret"]
    assert keeper.load().account == "alice"


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "authorization_pending"])
def test_not_let_in(keeper: Keeper, server: StandIn, error: str) -> None:
    """Refused, over, or nobody typed the code in time: it ends, and nothing is kept."""
    server.say("POST", TOKEN_PATH, refused(error))
    with pytest.raises(NotLetIn):
        with_device(keeper, wait=lambda _: None)
    assert len(server.asked(TOKEN_PATH)) == (12 if error == "authorization_pending" else 1)
    assert not keeper.path.exists()


def test_any_other_trouble_is_told_as_it_is(keeper: Keeper, server: StandIn) -> None:
    """It does not go on asking."""
    server.say("POST", TOKEN_PATH, refused("invalid_scope"))
    with pytest.raises(SpectraError) as caught:
        with_device(keeper, wait=lambda _: None)
    assert caught.value.reason == "invalid_scope"
