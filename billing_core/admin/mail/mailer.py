"""The mailer: sends what waits in the outbox, and writes down what came of it.

A mail is claimed, sent outside any transaction, and its outcome is committed, so of several mailers only one
sends it. Should one die between its claim and that commit, the mail is sent again when the claim has ended,
under the same identity.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import assert_never

from sqlalchemy import Connection, Engine, func

from billing_core.admin.definitions.definition_values import email
from billing_core.admin.mail import outbox
from billing_core.admin.mail.delivery import Deferred, Outcome, Refused, Sent
from billing_core.admin.mail.mail_settings import Mail, MailSettings
from billing_core.admin.mail.mail_templates import KINDS, TemplateFaultError, Templates
from billing_core.admin.mail.outbox import Waiting
from billing_core.admin.mail.smtp import SmtpSender
from billing_core.admin.mail.webhook import WebhookSender
from billing_core.admin.output import instant

_MARGIN_SECONDS = 60


@dataclass(slots=True)
class Pass:
    """What one pass over the outbox did; `trouble` tells why mails wait or failed, by mail."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    trouble: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried to be sent to whom, as far as it got, and what came of it."""

    outcome: Outcome
    recipient: str | None = None
    subject: str | None = None
    body: str | None = None


class Mailer:
    """Sends by every way that the settings name; *chance* gives numbers from 0 to 1."""

    def __init__(
        self, engine: Engine, settings: MailSettings, chance: Callable[[], float] = random.random
    ) -> None:
        """Open nothing yet."""
        self._engine = engine
        self._retries = settings.mail
        self._chance = chance
        self._smtp = SmtpSender(settings.mail) if settings.mail.host is not None else None
        self._webhook = WebhookSender(settings.webhook) if settings.webhook.url is not None else None
        # An exchange ends after its time-out; what comes before and after it takes the rest at most.
        exchange_seconds = max(settings.mail.timeout_seconds, settings.webhook.timeout_seconds)
        self._claim_seconds = exchange_seconds + _MARGIN_SECONDS
        self._templates = Templates(settings.mail.templates)

    @property
    def can_send(self) -> bool:
        """Tell whether there is any way to send."""
        return self._smtp is not None or self._webhook is not None

    def run(self, is_stopping: Callable[[], bool] = lambda: False) -> Pass:
        """Send what is due, one after the other; a way that is closed is tried by the next pass."""
        done = Pass()
        try:
            if self._smtp is not None:
                self._send_all("email", done, is_stopping)
            if self._webhook is not None:
                self._post_events(is_stopping)
                self._send_all("webhook", done, is_stopping)
        finally:
            if self._smtp is not None:
                self._smtp.quit()
        return done

    def _post_events(self, is_stopping: Callable[[], bool]) -> None:
        while not is_stopping():
            with self._engine.begin() as connection:
                if not outbox.post_events(connection):
                    return

    def _send_all(self, channel: str, done: Pass, is_stopping: Callable[[], bool]) -> None:
        while not is_stopping():
            with self._engine.begin() as connection:
                found = outbox.take(connection, channel, self._claim_seconds)
            if found is None:
                return
            attempt = self._mail(found) if channel == "email" else self._post(found)
            with self._engine.begin() as connection:
                self._note(connection, found, attempt, done)
            match attempt.outcome:
                case Deferred(is_away=True):
                    return

    def _mail(self, found: Waiting) -> Attempt:
        assert self._smtp is not None
        kind = KINDS.get(found.kind)
        if kind is None or found.company is None:
            why = f'"{found.kind}" is no kind of mail' if kind is None else "the client no longer exists"
            return Attempt(Refused(why))
        try:
            recipient = email(found.company.get(kind.address) or "")
        except ValueError as error:
            return Attempt(Refused(f"{kind.address_name}: {error}"))
        if not recipient:
            return Attempt(Refused(f"the client has no {kind.address_name}"))
        company_name = found.company.get("name") or found.facts.get("client") or ""
        at = instant(found.created_at.replace(microsecond=0))
        facts = {"id": found.id, "at": at, "company_name": company_name, **found.facts}
        try:
            letter = self._templates.write(found.kind, facts)
        except TemplateFaultError as error:
            return Attempt(Deferred(str(error)), recipient)
        # A number may come again in a database that was set back, a moment will not.
        identity = f"{found.id}.{found.created_at:%Y%m%d%H%M%S%f}"
        outcome = self._smtp.send(letter, recipient, identity, found.created_at)
        return Attempt(outcome, recipient, letter.subject, letter.body)

    def _post(self, found: Waiting) -> Attempt:
        assert self._webhook is not None
        told = {
            "id": found.event_id,
            "kind": found.kind,
            "at": instant(found.created_at),
            "client_id": found.client_id,
        }
        # What every event has is not for the facts of one kind to say.
        body = json.dumps(told | found.facts | told)
        outcome = self._webhook.send(body, f"{found.event_id}")
        return Attempt(outcome, self._webhook.recipient, found.kind, body)

    def _note(self, connection: Connection, found: Waiting, attempt: Attempt, done: Pass) -> None:
        tried = {"recipient": attempt.recipient, "subject": attempt.subject, "body": attempt.body}
        attempts = found.attempts + 1
        outcome = attempt.outcome
        values: dict[str, object]
        if isinstance(outcome, Deferred) and attempts >= self._retries.attempts_max:
            outcome = Refused(f"tried {attempts} times, the last time: {outcome.reason}")
        match outcome:
            case Sent():
                done.sent += 1
                values = {"state": "sent", "done_at": func.clock_timestamp(), "error": None}
            case Deferred():
                done.deferred += 1
                done.trouble[found.id] = outcome.reason
                pause = retry_pause(self._retries, attempts, self._chance())
                values = {"next_at": func.clock_timestamp() + pause, "error": outcome.reason}
            case Refused():
                done.failed += 1
                done.trouble[found.id] = outcome.reason
                values = {"state": "failed", "done_at": func.clock_timestamp(), "error": outcome.reason}
            case _:
                assert_never(outcome)
        outbox.note(connection, found.id, **tried, **values)


def retry_pause(settings: Mail, attempts: int, chance: float) -> timedelta:
    """Return how long to wait after so many *attempts*: twice as long each time, up to a bound.

    By *chance*, from 0 to 1, it is up to half of that less, so that mails do not all come back at once.
    """
    doubled = settings.retry_seconds * 2 ** min(attempts - 1, 20)
    return timedelta(seconds=min(doubled, settings.retry_seconds_max) * (1 - chance / 2))
