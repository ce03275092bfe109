"""The link of headless nodes: MQTT 3.1.1 over mutual TLS, with a last will.

Presence goes with QoS 0: a heartbeat that comes late or twice says less than the next one. All else goes with QoS 1
and is sent again after a reconnection until the broker has it, which is no proof that it let it pass: nats-server
acknowledges what it refuses. Subscriptions are QoS 0, since what NATS clients publish never comes as more. Sessions
are clean, so a broker keeps nothing of a node that is away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.link import CONNECT_TIMEOUT_S, OnChange, OnError, Receive, TlsFiles
from spectra.fabric.linkbase import SUBSCRIBE_AGAIN_S, LinkBase
from spectra.fabric.outbox import Message
from spectra.fabric.subjects import is_presence, subject_of, topic

KEEPALIVE_S: Final = 15
"""The broker takes a silent client for lost, and tells its will, after one and a half times this."""

_IN_FLIGHT: Final = 50
_FLUSH_S: Final = 2.0
_MAX_TRIES: Final = 5
Deliver = Callable[[Receive, str, bytes], None]


class _Socket(ssl.SSLSocket):
    """A socket whose failed handshake closes it: the library drops it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class MqttLink(LinkBase):
    """A link to the broker at `host:port`. See `link.Link`; it connects by itself.

    `will` is what the broker says for us when the connection breaks without a good-bye: a subject and its data. The
    client's id is a secret of this link: whoever knew it could take its session over at the broker.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: TlsFiles,
        name: str,
        *,
        will: tuple[str, bytes] | None = None,
        on_error: OnError = lambda error: None,
        on_change: OnChange | None = None,
        keepalive_s: int = KEEPALIVE_S,
    ) -> None:
        super().__init__(tls, name, on_error, on_change)
        self._host = host
        self._port = port
        self._will = will
        self._keepalive_s = keepalive_s
        self._client_id = f"{name}-{secrets.token_hex(16)}"
        self._unacknowledged: dict[int, Message] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._thread.start()

    def __del__(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)

    def subscribe(self, subject: str, receive: Receive, *, queue: str = "") -> None:
        """See `link.Link`: MQTT 3.1.1 has no queues, and hearing each message twice would be worse than none."""
        if queue:
            raise MeshError("MQTT carries no queue of subscribers.")
        super().subscribe(subject, receive)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well as one byte
            os.write(self._wake_write, b"\0")

    def _serve(self) -> None:
        connection = _Connection(self._tls.context(), self._client_id, self._will, self._wake_read)
        connection.on_acknowledged = lambda mid: self._unacknowledged.pop(mid, None)
        connection.on_denied = self._tell
        try:
            connection.open(self._host, self._port, self._keepalive_s)
            self._carry(connection)
        finally:
            connection.end()
            self._send_again()

    def _send_again(self) -> None:
        """What was not acknowledged waits for the next connection; what may be what breaks them is given up."""
        again = [message._replace(tries=message.tries + 1) for message in self._unacknowledged.values()]
        self._unacknowledged.clear()
        self._outbox.put_back([message for message in again if message.tries < _MAX_TRIES])
        for message in again:
            if message.tries >= _MAX_TRIES:
                lost = f"{len(message.data)} bytes for {message.subject}"
                self._tell(MeshError(f"{lost} were given up: {_MAX_TRIES} connections broke.", reason="overflow"))

    def _carry(self, connection: _Connection) -> None:
        """Send what waits and hear what was subscribed to, until the connection ends."""
        again = 0.0
        while not self._stopping:
            if connection.welcomed:
                now = time.monotonic()
                anew, again = now >= again, now + SUBSCRIBE_AGAIN_S if now >= again else again
                connection.subscribe(self._receivers(), self._deliver, anew=anew)
                if not connection.awaited:
                    self._changed(True)
                self._tell_dropped()
                self._send(connection)
            connection.step(self._keepalive_s / 5 if connection.welcomed else 1.0)
        deadline = time.monotonic() + _FLUSH_S
        while connection.welcomed and (self._outbox or self._unacknowledged) and time.monotonic() < deadline:
            self._send(connection)
            connection.step(0.1)

    def _send(self, connection: _Connection) -> None:
        """As much as the socket takes and the broker acknowledges; the rest waits where it is bounded."""
        while len(self._unacknowledged) < _IN_FLIGHT and connection.takes_more and (batch := self._outbox.take(1)):
            mid = connection.publish(batch[0])
            if mid is None:
                self._outbox.put_back(batch)
                return
            if not is_presence(batch[0].subject):
                self._unacknowledged[mid] = batch[0]


class _Connection:
    """One connection of the library's client, driven by the link's thread alone."""

    def __init__(self, context: ssl.SSLContext, client_id: str, will: tuple[str, bytes] | None, wake_read: int) -> None:
        self.welcomed = False
        self.awaited: dict[int, str] = {}
        """Subscriptions that the broker has not answered, by packet id."""

        self.on_acknowledged: Callable[[int], object] = lambda mid: None
        self.on_denied: OnError = lambda error: None
        self._made: dict[str, Receive] = {}
        self._denied: set[str] = set()
        self._refused = ""
        self._why = ""
        self._wake_read = wake_read
        self._deadline = 0.0
        context.sslsocket_class = _Socket
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=True,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S / 2  # for TCP, and once more for TLS
        client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]
        if will is not None:
            client.will_set(topic(will[0]), will[1], qos=1)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_log = self._on_log
        self._client = client

    def open(self, host: str, port: int, keepalive_s: int) -> None:
        """Connect, and say who we are; the broker's answer comes to `step`."""
        self._where = f"mqtts://{host}:{port}"
        self._deadline = time.monotonic() + CONNECT_TIMEOUT_S
        try:
            self._client.connect(host, port, keepalive_s)
        except ssl.SSLCertVerificationError as error:
            raise MeshError(
                f"{self._where} is not a broker of this mesh: {error.verify_message}.", reason="untrusted"
            ) from error
        except (OSError, ValueError) as error:
            raise self._broken(str(error)) from error

    @property
    def takes_more(self) -> bool:
        """Whether everything so far went into the socket."""
        return not self._client.want_write()

    def step(self, longest_s: float) -> None:
        """Wait for something to happen, at most so long, and deal with it. Raises `MeshError` when it is over."""
        sock = self._client.socket()
        if sock is None:
            raise self._broken("it was closed")
        if not self.welcomed and time.monotonic() > self._deadline:
            raise self._broken(f"no welcome within {CONNECT_TIMEOUT_S:.0f} s")
        poll = select.poll()  # not select(2), whose descriptors end at 1023
        poll.register(self._wake_read, select.POLLIN)
        poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        happened = dict(poll.poll(0 if _pending(sock) else longest_s * 1000))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if happened.get(sock.fileno(), 0) & select.POLLOUT:
            code = self._client.loop_write()
        if not code and (happened.get(sock.fileno(), 0) & ~select.POLLOUT or _pending(sock)):
            code = self._client.loop_read()
        code = code or self._client.loop_misc()
        if code or self._refused:
            raise self._broken(paho.error_string(code))

    def subscribe(self, receivers: dict[str, Receive], deliver: Deliver, *, anew: bool) -> None:
        """Subscribe to what is new, or `anew` to everything."""
        for subject, receive in receivers.items():
            if self._made.get(subject) is receive and not anew:
                continue
            self._made[subject] = receive
            self._client.message_callback_add(topic(subject), _receiver(receive, deliver))
            _, mid = self._client.subscribe(topic(subject), qos=0)
            if mid is not None:
                self.awaited[mid] = subject

    def publish(self, message: Message) -> int | None:
        """The packet id under which the message goes; None where it does not."""
        sent = self._client.publish(topic(message.subject), message.data, qos=0 if is_presence(message.subject) else 1)
        return sent.mid if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def end(self) -> None:
        """Say good-bye, so that the broker does not tell our will, and close the socket."""
        if self.welcomed:
            with contextlib.suppress(OSError, ValueError):
                self._client.disconnect()
        if (sock := self._client.socket()) is not None:
            sock.close()

    def _broken(self, why: str) -> MeshError:
        if self._refused:
            return MeshError(f"{self._where} does not let us in: {self._refused}.", reason="refused")
        told = (self._why or why).rstrip(".")
        if "alert" in told.lower():  # TLS: what is wrong with our certificate
            return MeshError(f"{self._where} does not let us in: {told}.", reason="refused")
        if self.welcomed:
            return Unreachable(f"the connection to {self._where} broke: {told}.")
        return Unreachable(f"cannot reach {self._where}: {told}.")

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _more: Any) -> None:
        self.welcomed = not code.is_failure
        self._refused = str(code) if code.is_failure else ""

    def _on_subscribe(self, _client: paho.Client, _data: Any, mid: int, codes: list[ReasonCode], _more: Any) -> None:
        subject = self.awaited.pop(mid, "")
        if not subject or not any(code.is_failure for code in codes):
            return
        # What comes for another subscription may match this one too, and is not for its receiver.
        self._client.message_callback_remove(topic(subject))
        if subject not in self._denied:
            self._denied.add(subject)
            self.on_denied(MeshError(f"the mesh does not let us hear {subject}.", reason="refused"))

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, _code: ReasonCode, _more: Any) -> None:
        self.on_acknowledged(mid)

    def _on_log(self, _client: paho.Client, _data: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._why = text


def _pending(sock: object) -> int:
    """Bytes that TLS has decrypted already: `poll` does not tell of them."""
    return sock.pending() if isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 else 0


def _receiver(receive: Receive, deliver: Deliver) -> Callable[[paho.Client, Any, paho.MQTTMessage], None]:
    def received(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        deliver(receive, subject_of(message.topic), bytes(message.payload))

    return received
