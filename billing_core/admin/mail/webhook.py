"""Events posted to a URL as JSON, signed so that the receiver can tell who posts."""

import hashlib
import hmac
import http.client
import ssl
from urllib.parse import urlsplit

from billing_core.admin.mail.delivery import Deferred, Outcome, Refused, Sent, one_line
from billing_core.admin.mail.line import Line
from billing_core.admin.mail.mail_settings import Webhook

SIGNATURE = "X-Billing-Signature"
"""`sha256=` and the HMAC-SHA256 of the body with the secret, in hexadecimal digits."""
DELIVERY = "X-Billing-Delivery"
"""The same whenever the same event is posted again, so that the receiver can tell."""

# What the receiver will not take however often; anything else may be in order again later.
_REFUSALS = frozenset({400, 410, 413, 415, 422})
_ANSWER_OCTETS = 200


class WebhookSender:
    """Posts to one URL, a connection for each event; redirects are not followed."""

    def __init__(self, settings: Webhook) -> None:
        """Open nothing yet; *settings* name a URL."""
        assert settings.url is not None
        self._settings = settings
        self._parts = urlsplit(settings.url)
        self._line = Line(settings.timeout_seconds)

    @property
    def recipient(self) -> str:
        """Return the URL as it may be shown: a query can hold a secret."""
        return self._parts._replace(query="").geturl()

    def send(self, body: str, identity: str) -> Outcome:
        """Post one event, told by *body*, which is JSON."""
        octets = body.encode()
        headers = {"Content-Type": "application/json", "User-Agent": "radiusd-billing", DELIVERY: identity}
        if self._settings.key is not None:
            headers[SIGNATURE] = "sha256=" + hmac.new(self._settings.key, octets, hashlib.sha256).hexdigest()
        path = self._parts._replace(scheme="", netloc="").geturl() or "/"
        connection = self._connection()
        try:
            with self._line.exchange():
                connection.request("POST", path, octets, headers)
                answer = connection.getresponse()
                if self._line.was_cut:
                    raise TimeoutError  # Half a status line passes for a whole one.
                told = one_line(answer.read(_ANSWER_OCTETS))
        except (http.client.HTTPException, OSError) as error:
            is_late = self._line.was_cut or isinstance(error, TimeoutError)
            why = "no answer in time" if is_late else one_line(str(error))
            return Deferred(f"{self.recipient}: {why or type(error).__name__}", is_away=True)
        finally:
            connection.close()
            self._line.close()
        reason = f"{self.recipient} answers {answer.status} {told or answer.reason}"
        if 200 <= answer.status < 300:
            return Sent()
        return Refused(reason) if answer.status in _REFUSALS else Deferred(reason)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            connection = http.client.HTTPConnection(host, port)
        else:
            context = ssl.create_default_context(cafile=self._settings.authorities)
            connection = http.client.HTTPSConnection(host, port, context=context)
        connection._create_connection = self._line.open  # type: ignore[attr-defined]
        return connection
