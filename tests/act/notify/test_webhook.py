"""Webhooks: what a real receiver gets, how it checks that, and what is never called."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.act.notify.outlets import OutletError
from spectra.act.notify.webhook import Webhook, headers, payload
from tests.act.notify.messages import AT, HOSTILE, ORIGIN, SECRET, message, outlet
from tests.support import tls
from tests.support.hooks import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One without TLS."""
    with Receiver() as one:
        yield one


def checked(secret: str, fields: dict[str, str], raw: bytes) -> bool:
    """As the specification has receivers check it."""
    signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + raw
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in fields["webhook-signature"].split()


def test_the_vector_of_the_specification() -> None:
    """Id, moment, body and secret of its documentation give its signature."""
    moment = datetime.fromtimestamp(1614265330, UTC)
    made = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}', SECRET)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_arrives(receiver: Receiver) -> None:
    """Signed, with its id, and with nothing of a banner but plain text; the same id the next time."""
    target = outlet("webhook", f"http://127.0.0.1:{receiver.port}/hook?token=a%20b", SECRET)
    sender = Webhook(origin=ORIGIN, timeout_s=20)
    for _ in range(2):
        sender.send(target, message(title=HOSTILE))
    (path, fields, raw), (_, again, _) = receiver.got
    assert path == "/hook?token=a%20b"
    assert checked(SECRET, fields, raw)
    assert not checked(SECRET, fields, raw + b" ")
    assert fields["webhook-id"] == again["webhook-id"] == "note-1"
    told = json.loads(raw)
    assert (told["type"], told["data"]["url"]) == ("alert.firing", f"{ORIGIN}/alerts/alert-1")
    assert told["data"]["title"].startswith("a Bcc: eve@example.org [31m")
    assert datetime.fromisoformat(told["timestamp"]) == AT
    assert len(payload(message(lines=("x" * 9999,) * 20))) < 12_000


@pytest.mark.parametrize(("status", "away"), [(302, False), (400, False), (410, False), (429, True), (500, False)])
def test_other_answers_are_tried_again(receiver: Receiver, status: int, away: bool) -> None:
    """Redirects are not followed; the path, which may be a secret, is in no error."""
    receiver.status = status
    with pytest.raises(OutletError) as failed:
        Webhook().send(outlet("webhook", f"http://127.0.0.1:{receiver.port}/s3cret", SECRET), message())
    assert (failed.value.retryable, failed.value.away, len(receiver.got)) == (True, away, 1)
    assert str(status) in str(failed.value)
    assert "s3cret" not in str(failed.value)


def test_who_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    """Nor is one that is not there, or has no address."""
    receiver.stalls = True
    for port, sender in ((receiver.port, Webhook(timeout_s=0.3)), (1, Webhook())):
        with pytest.raises(OutletError) as failed:
            sender.send(outlet("webhook", f"http://127.0.0.1:{port}/", SECRET), message())
        assert failed.value.away
    with pytest.raises(OutletError, match="no address"):
        Webhook().send(outlet("webhook", "https://nowhere.invalid/", SECRET), message())


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.1.1]", "0.0.0.0", "224.0.0.1"])
def test_what_is_never_called(host: str) -> None:
    """Where clouds tell machines their credentials, and what is no machine."""
    with pytest.raises(OutletError, match="nothing is sent"):
        Webhook().send(outlet("webhook", f"http://{host}/latest", SECRET), message())


def test_https_needs_a_certificate_that_holds(tmp_path: Path) -> None:
    """Of the name in the URL, by an authority that is trusted."""
    ca = tls.authority(tmp_path / "ca")
    files = tls.server_files(ca, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    with Receiver(context) as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        with pytest.raises(OutletError, match="certificate does not hold"):
            Webhook().send(outlet("webhook", url, SECRET), message())
        Webhook(tls=tls.client_context(ca)).send(outlet("webhook", url, SECRET), message())
        assert [path for path, _, _ in receiver.got] == ["/hook"]
