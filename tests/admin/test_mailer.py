"""`billing mailer`: everything that waits is sent once, whatever mail servers and webhooks do."""

import hashlib
import hmac
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme
from billing_command import Billing
from hypothesis import given
from hypothesis import strategies as st
from mail_servers import Mailbox, Posts, authenticator, dripping, http_server, smtp
from postgres import PostgresServer
from served import REPOSITORY
from sqlalchemy import Engine

from billing_core.admin.mail import mail_settings, outbox
from billing_core.admin.mail.mail_settings import Mail
from billing_core.admin.mail.mail_templates import Letter, Templates
from billing_core.admin.mail.mailer import Mailer, Pass, retry_pause
from billing_core.admin.mail.outbox import Wanted
from billing_core.admin.output import CommandError, Record
from billing_core.call_event import CallEvent, CallEventKind
from billing_core.notice import Audience, Notice
from billing_core.ports import Changes
from billing_core.storage.connection import connect
from billing_core.storage.gauges import read_gauges
from billing_core.storage.postgres import PostgresStorage
from billing_core.storage.schema import engine
from billing_core.visible import visible

NOW = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
CLIENT = """
    INSERT INTO client (name, status, currency, timezone, tags, bill_by, postpaid, credit, changed_in,
        low_balance_notify_client, low_balance_notify_admin, company)
    VALUES ('Customer A', 'active', 'EUR', 'UTC', '{}', 'disconnect', false, 0, 1, 0, 0,
        jsonb_build_object('name', 'Customer A Ltd', 'billing_email', 'pay@example.com'))"""
PLAIN = 'tls = "none"'


class Post:
    """A client who is warned, and the mailer, with a mail server or without."""

    def __init__(self, billing: Billing) -> None:
        self.billing = billing
        self.directory = billing.directory

    def settings(self, port: int = 1, *lines: str, webhook: str = "") -> None:
        self.billing.file(
            "radiusd.toml",
            f'[database]\nurl = "{self.billing.url}"\n[mail]\nhost = "127.0.0.1"\nport = {port}\n'
            'from_address = "Example <billing@example.com>"\ntimeout_seconds = 1\nretry_seconds = 100\n'
            + "\n".join(lines)
            + webhook,
        )

    def warn(self, times: int = 1, client: str = "Customer A", audience: Audience = Audience.CLIENT) -> None:
        """Write so many notices, as whoever changes the money does."""
        zero, below = Decimal(0), Decimal("-1.5")
        notice = Notice(NOW, 1, client, "EUR", audience, zero, below, below, zero)
        with self.billing.engine.begin() as connection:
            outbox.put(connection, [notice] * times)

    def mailer(self) -> Mailer:
        return Mailer(self.billing.engine, mail_settings.load(self.directory))

    def send(self) -> Pass:
        """Let what waits be due, and claims have ended, and send it."""
        self.billing.sql("UPDATE mail SET next_at = now(), claimed_until = NULL WHERE state = 'waiting'")
        return self.mailer().run()

    def mails(self, **wanted: Any) -> list[Record]:
        """Return the history, the newest first."""
        with self.billing.engine.connect() as connection:
            return list(outbox.listed(connection, Wanted(**wanted)))

    def states(self) -> list[tuple[str, int]]:
        return [(mail["state"], mail["attempts"]) for mail in self.mails()]

    def retry(self, mail_id: int) -> None:
        with self.billing.engine.begin() as connection:
            outbox.queue_again(connection, mail_id)


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer, template_url: str) -> Iterator[tuple[str, Engine]]:
    """Give one database to all these tests."""
    url = postgres_server.create_database(template_url)
    opened = engine(url)
    yield url, opened
    opened.dispose()
    postgres_server.drop_database(url)


@pytest.fixture
def post(database: tuple[str, Engine], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Post:
    made = Post(Billing(tmp_path, *database, capsys))
    made.billing.sql("TRUNCATE mail, event, client, balance, account RESTART IDENTITY")
    made.billing.sql(CLIENT)
    made.billing.sql("INSERT INTO balance VALUES (1, 0, 0, 0, 0)")
    made.settings()
    return made


@pytest.fixture
def box(post: Post) -> Iterator[Mailbox]:
    """Give a mail server without TLS, as it may run on the same machine."""
    with smtp() as server:
        post.settings(server.port, PLAIN)
        yield server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(made)
    return made


@pytest.fixture
def authorities(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "authorities.pem")
    return 'authorities = "authorities.pem"'


# --- what a mail is ---------------------------------------------------------------------------------


def test_a_notice_is_a_mail_to_the_billing_email_and_stands_in_the_history(post: Post, box: Mailbox) -> None:
    post.billing("charge", "Customer A", "1.5", "--reason", "x")
    sent = post.billing("mailer", "--once", "--json")

    (mail,) = box.mails
    (kept,) = post.billing("mails", "list", "--json").document
    assert (sent.code, sent.document) == (0, {"sent": 1, "deferred": 0, "failed": 0, "trouble": {}})
    assert (mail["From"], mail["To"]) == ("Example <billing@example.com>", "pay@example.com")
    assert mail["Subject"] == "Your balance is low: -1.50 EUR"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(rf"<{kept['id']}\.\d{{20}}@example\.com>", mail["Message-ID"])
    assert "Dear Customer A Ltd," in mail.get_content().splitlines()
    assert {key: kept[key] for key in ("kind", "channel", "client", "recipient", "subject", "state")} == {
        "kind": "low_balance",
        "channel": "email",
        "client": "Customer A",
        "recipient": "pay@example.com",
        "subject": "Your balance is low: -1.50 EUR",
        "state": "sent",
    }
    assert post.billing("mails", "show", str(kept["id"]), "--json").document["body"] == (
        mail.get_content().replace("\r\n", "\n")
    )
    assert post.send() == Pass(), "nothing is sent twice"


def test_no_name_can_add_a_header_or_a_line_to_a_subject(post: Post, box: Mailbox) -> None:
    post.settings(box.port, PLAIN, 'templates = "own"')
    (post.directory / "own").mkdir()
    (post.directory / "own" / "low_balance.txt").write_text("Subject: {{ client }}\n\n{{ company_name }}\n")
    name = "A\r\nBcc: thief@example.com\r\n\r\nGo away {{ 1 / 0 }} žluťoučký"
    post.billing.sql("UPDATE client SET name = :name", name=name)
    post.billing.sql("UPDATE client SET company = company || jsonb_build_object('name', name)")
    post.warn(client=name)
    post.send()

    (mail,) = box.mails
    assert mail["Subject"] == visible(name)
    assert (mail["Bcc"], mail["To"]) == (None, "pay@example.com")
    assert mail.get_content() == f"{visible(name)}\r\n"


def test_no_name_can_steer_the_terminal_on_which_a_mail_is_read(post: Post) -> None:
    (post.directory / "own").mkdir()
    (post.directory / "own" / "low_balance.txt").write_text("Subject: {{ client }}\n\n\u00a0{{ client }}\n")

    letter = Templates(post.directory / "own").write("low_balance", {"client": "A\x1b]0;x\x07\x7f\u202eB"})

    name = r"A\x1b]0;x\x07\x7f\u202eB"
    assert letter == Letter(name, f"\u00a0{name}\n"), "a template is the admin's own and stays as it is"


@pytest.mark.parametrize(
    "address", ["", "two@example.com, more@example.com", "a@example.com\nBcc: b@example.com"]
)
def test_without_a_billing_email_a_mail_has_failed_until_there_is_one(
    post: Post, box: Mailbox, address: str
) -> None:
    post.warn()
    change = "UPDATE client SET company = company || jsonb_build_object('billing_email', CAST(:a AS text))"
    post.billing.sql(change, a=address)
    failed = post.send()
    (kept,) = post.mails()
    post.billing.sql(change, a="late@example.com")
    post.retry(kept["id"])

    assert failed.failed == 1
    assert kept["error"].startswith("billing email: " if address else "the client has no billing email")
    assert post.send().sent == 1
    assert box.mails[0]["To"] == "late@example.com"


# --- servers that prove who they are ----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # It has TLS already.
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_login_is_sent_to_a_server_that_proved_who_it_is(
    post: Post, context: ssl.SSLContext, authorities: str, tls: str
) -> None:
    login = {"authenticator": authenticator, "auth_required": True}
    extra: dict[str, Any] = {"ssl_context": context, "auth_require_tls": False} if tls == "tls" else {}
    with smtp(context, **login, **extra) as box:
        post.warn()
        with_login = f'tls = "{tls}"', authorities, 'username = "billing"'
        outcomes = []
        for lines in ([], [*with_login, 'password = "wrong"'], [*with_login, 'password = "quiet"']):
            post.settings(box.port, *(lines or [f'tls = "{tls}"', authorities]))
            outcomes.append(post.send())

    reasons = [reason for outcome in outcomes for reason in outcome.trouble.values()]
    assert [outcome.sent for outcome in outcomes] == [0, 0, 1]
    assert "530" in reasons[0]
    assert "535" in reasons[1]
    assert len(box.mails) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_nothing_is_sent_to_a_server_whose_certificate_is_not_trusted(
    post: Post, context: ssl.SSLContext, tls: str
) -> None:
    extra: dict[str, Any] = {"ssl_context": context} if tls == "tls" else {}
    with smtp(context, **extra) as box:
        post.settings(box.port, f'tls = "{tls}"')
        post.warn()
        (reason,) = post.send().trouble.values()

    assert "certificate is not trusted" in reason
    assert box.mails == []
    assert post.states() == [("waiting", 1)]


def test_a_server_without_starttls_gets_neither_mail_nor_password(post: Post, box: Mailbox) -> None:
    post.settings(box.port, 'username = "billing"', 'password = "quiet"')
    post.warn()
    (reason,) = post.send().trouble.values()

    assert "STARTTLS" in reason
    assert box.mails == []


# --- servers that fail ------------------------------------------------------------------------------


def test_a_mail_that_is_taken_later_waits_longer_each_time(post: Post, box: Mailbox) -> None:
    post.warn()
    box.answers = ["451 later", "450 still later"]
    pauses = []
    for _ in range(2):
        assert post.send().deferred == 1
        pauses += post.billing.sql("SELECT extract(epoch FROM next_at - now()) FROM mail")
    waits = post.mailer().run()
    (kept,) = post.mails()
    sent = post.send()

    assert 45 < pauses[0][0] <= 100
    assert 95 < pauses[1][0] <= 200
    assert waits == Pass()
    assert (kept["state"], kept["error"]) == ("waiting", f"127.0.0.1:{box.port} answers 450 still later")
    assert (sent.sent, post.states()) == (1, [("sent", 3)])


def test_a_mail_that_is_refused_is_not_tried_again_until_somebody_says_so(post: Post, box: Mailbox) -> None:
    post.warn(2)
    box.answers = ["550 no such user"]
    first, second = post.send(), post.send()
    failed = [mail for mail in post.mails() if mail["state"] == "failed"]
    with closing(connect(post.billing.url, application="test")) as connection:
        gauges = read_gauges(connection)
    post.retry(failed[0]["id"])

    assert (first.sent, first.failed, second.failed) == (1, 1, 0)
    assert failed[0]["next_at"] is None
    assert "550 no such user" in failed[0]["error"]
    assert (gauges.mails_failed, gauges.mails_waiting) == (1, 0)
    assert post.send().sent == 1


@pytest.mark.parametrize("what", ["drop", "slow"])
def test_a_mail_that_a_server_may_have_taken_is_sent_again_under_the_same_identity(
    post: Post, box: Mailbox, what: str
) -> None:
    post.warn()
    box.after_data = [what]
    lost, again = post.send(), post.send()

    assert (lost.deferred, again.sent) == (1, 1)
    assert len(box.mails) == 2
    assert len(set(box.ids())) == 1


def test_a_server_that_is_away_loses_nothing_and_shows_in_the_metrics(post: Post) -> None:
    with smtp() as box:
        pass
    post.settings(box.port, PLAIN)
    post.warn(3)
    away = post.send()
    states = post.states()
    with closing(connect(post.billing.url, application="test")) as connection:
        gauges = read_gauges(connection)
    with smtp() as box:
        post.settings(box.port, PLAIN)
        sent = post.send()

    assert away.deferred == 1, "the others need not knock in vain"
    assert sorted(states) == [("waiting", 0), ("waiting", 0), ("waiting", 1)]
    assert (gauges.mails_waiting, gauges.mails_failed) == (3, 0)
    assert (sent.sent, len(box.mails)) == (3, 3)


def test_after_so_many_attempts_a_mail_has_failed(post: Post, box: Mailbox) -> None:
    post.settings(box.port, PLAIN, "attempts_max = 2")
    post.warn()
    box.answers = ["451 later", "451 later"]
    post.send()
    last = post.send()

    assert (last.failed, post.states()) == (1, [("failed", 2)])
    assert "tried 2 times, the last time: " in next(iter(last.trouble.values()))


@given(st.integers(1, 1000), st.floats(0, 1))
def test_pauses_grow_up_to_their_bound(attempts: int, chance: float) -> None:
    settings = Mail.model_construct(retry_seconds=60, retry_seconds_max=3600)
    whole = timedelta(seconds=min(60 * 2 ** (attempts - 1), 3600))

    assert whole / 2 <= retry_pause(settings, attempts, chance) <= whole


# --- mailers ----------------------------------------------------------------------------------------


def test_several_mailers_at_once_send_each_mail_once(post: Post, box: Mailbox) -> None:
    post.warn(12)
    done = []
    threads = [threading.Thread(target=lambda: done.append(post.mailer().run())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(box.mails) == len(set(box.ids())) == 12
    assert sum(one.sent for one in done) == 12
    assert box.connections > 1, "more than one of them had something to send"


def test_a_mailer_that_dies_before_its_commit_repeats_the_mail_recognisably(
    post: Post, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.warn()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "note", die)
        with suppress(KeyboardInterrupt):
            post.mailer().run()
    assert post.states() == [("waiting", 0)]
    post.send()

    assert len(box.mails) == 2
    assert len(set(box.ids())) == 1


def test_the_mailer_sends_as_mails_come_and_ends_on_term(post: Post, box: Mailbox) -> None:
    post.warn()
    command = [sys.executable, "-m", "billing_core.admin.cli", "--config", str(post.directory), "mailer"]
    mailer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert mailer.stdout is not None
    lines = [mailer.stdout.readline() for _ in range(2)]
    mailer.send_signal(signal.SIGTERM)
    out, err = mailer.communicate(timeout=10)

    assert lines == [
        "sending mails as they come; end it with TERM or INT\n",
        "1 sent, 0 to be tried again, 0 failed\n",
    ]
    assert (mailer.returncode, out, err) == (0, "", "")


def test_without_a_way_to_send_mails_wait_and_that_is_said(post: Post) -> None:
    post.warn()
    post.billing.file("radiusd.toml", f'[database]\nurl = "{post.billing.url}"\n')
    told = post.billing("mailer", "--once")

    assert told.code == 1
    assert "has neither mail.host nor webhook.url, so nothing can be sent; 1 mails wait" in told.err
    assert post.states() == [("waiting", 0)]


# --- templates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("Hello\n", 'low_balance.txt:1: must begin with "Subject: ..." on its first line'),
        ("Subject: a\n\n\n{{ availabel }}\n", "low_balance.txt: 'availabel' is undefined"),
        ("Subject: a\n\n{% if %}\n", "low_balance.txt:3: "),
        ("Subject: a\n\n{{ 1 / 0 }}\n", "low_balance.txt: division by zero"),
        ("Subject: a\n\n{{ client | money }}\n", 'low_balance.txt: "Customer A" is not an amount'),
        ("Subject: a\n\n{{ ''.__class__.__mro__ }}\n", "low_balance.txt: "),
    ],
)
def test_a_faulty_template_lets_mails_wait_until_it_is_mended(
    post: Post, box: Mailbox, template: str, why: str
) -> None:
    file = post.directory / "mail" / "low_balance.txt"
    file.parent.mkdir()
    file.write_text(template)
    post.warn()
    (reason,) = post.send().trouble.values()
    waiting = post.states()
    file.write_text("Subject: mended\n\nPay.\n")
    post.send()

    assert why in reason
    assert waiting == [("waiting", 1)]
    assert [mail["Subject"] for mail in box.mails] == ["mended"]


def test_radiusd_check_warns_of_mails_that_nobody_sends(
    post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    from radiusd.cli import main

    wanted = '[[client]]\nname = "A"\ncurrency = "EUR"\nlow_balance = { notify_client = 5 }\n'
    post.billing.file("billing.toml", wanted)
    told = []
    for text in ("", '[mail]\nhost = "localhost"\nfrom_address = "a@example.com"\n'):
        post.billing.file("radiusd.toml", text)
        main(["check", "--config", str(post.directory)])
        told.append("mail.host, so these mails wait" in capsys.readouterr().out)

    assert told == [True, False]


def test_radiusd_check_finds_a_faulty_template(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    from radiusd.cli import main

    (post.directory / "mail").mkdir()
    (post.directory / "mail" / "low_balance.txt").write_text("Subject: a\n\n{{ availabel }}\n")
    code = main(["check", "--config", str(post.directory)])

    assert code == 1
    assert "mail/low_balance.txt: 'availabel' is undefined" in capsys.readouterr().out


# --- the webhook ------------------------------------------------------------------------------------


@pytest.fixture
def posts(post: Post) -> Iterator[Posts]:
    with http_server() as server:
        post.settings(webhook=f'\n[webhook]\nurl = "{server.url}/hook?token=1"\nsecret = "signs"\n')
        yield server


def test_an_event_is_posted_signed_and_as_readme_says(post: Post, posts: Posts) -> None:
    post.warn(audience=Audience.ADMIN)
    sent = post.send()
    readme = (REPOSITORY / "README.md").read_text()
    (shown,) = (json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", readme, re.M | re.S))

    ((path, headers, body),) = posts.posted
    told = json.loads(body)
    digest = hmac.new(b"signs", body, hashlib.sha256).hexdigest()
    assert (sent.sent, path) == (1, "/hook?token=1")
    assert headers["X-Billing-Signature"] == f"sha256={digest}"
    assert headers["X-Billing-Delivery"] == str(told["id"])
    assert set(told) == set(shown)
    assert {key: told[key] for key in ("kind", "notify", "client", "value", "available", "live")} == {
        "kind": "low_balance",
        "notify": "admin",
        "client": "Customer A",
        "value": "0",
        "available": "-1.5",
        "live": "-1.5",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", told["at"])
    assert post.mails()[0]["recipient"] == f"{posts.url}/hook"
    assert post.send() == Pass(), "nothing is posted twice"


def test_a_block_is_posted_as_one_and_its_facts_name_nothing_else_so(post: Post, posts: Posts) -> None:
    facts = {"blocked": "account", "value": "1001", "kind": "of old", "id": 0}
    with post.billing.engine.begin() as connection:
        outbox.put_blocked(connection, NOW, 1, facts, is_mailed=False)
    post.send()

    ((_, headers, body),) = posts.posted
    told = json.loads(body)
    assert (told["kind"], told["blocked"], told["value"]) == ("blocked", "account", "1001")
    assert headers["X-Billing-Delivery"] == str(told["id"])


@pytest.mark.parametrize(
    ("status", "state"),
    [(503, "waiting"), (404, "waiting"), (302, "waiting"), (400, "failed"), (204, "sent")],
)
def test_what_a_webhook_answers_decides(post: Post, posts: Posts, status: int, state: str) -> None:
    post.warn(audience=Audience.ADMIN)
    posts.answers = [status]
    post.send()

    assert post.states() == [(state, 1)]
    assert len(posts.posted) == 1, "a redirect is not followed"


def test_events_that_a_caller_brings_about_by_the_hundred_are_posted_as_eleven(
    post: Post, posts: Posts
) -> None:
    """The last one waits until its minute is over, since it counts the others."""
    now = datetime.now(UTC)
    tell(post, *[odd(now - timedelta(minutes=2))] * 100, *[odd(now + timedelta(minutes=2))] * 100)
    post.send()

    bodies = [body for body in posts.bodies() if body["kind"] == "guessed_leg"]
    assert len(bodies) == 21
    assert [body.get("count") for body in bodies] == [*[None] * 10, 90, *[None] * 10]
    assert (bodies[0]["nas"], bodies[0]["call_id"]) == ("gw", "call")


def odd(when: datetime) -> CallEvent:
    return CallEvent(when, CallEventKind.GUESSED_LEG, "gw", None, "call", "")


def tell(post: Post, *told: CallEvent) -> None:
    storage = PostgresStorage(post.billing.url, "test")
    with storage.turn() as turn:
        turn.record(Changes(events=list(told)))
    storage.close()


def test_a_webhook_that_is_away_or_not_trusted_loses_nothing(
    post: Post, context: ssl.SSLContext, authorities: str
) -> None:
    post.warn(2, audience=Audience.ADMIN)
    with http_server(context) as posts:
        post.settings(webhook=f'\n[webhook]\nurl = "{posts.url}"\n')
        untrusted = post.send()
        post.settings(webhook=f'\n[webhook]\nurl = "{posts.url}"\n{authorities}\n')
        sent = post.send()
    post.warn(audience=Audience.ADMIN)
    away = post.send()

    assert (untrusted.deferred, untrusted.sent) == (1, 0)
    assert (sent.sent, len(posts.bodies())) == (2, 2)
    assert (away.deferred, post.states()[0]) == (1, ("waiting", 1))


HELLO = b"\x16\x03\x03\x00\xff\x02\x00\x00\xf0\x03\x03"  # TLS: the begin of a ServerHello.
DRIPS = {
    "the status of a webhook": ("http", b"HTTP/1.1 200 O"),
    "the headers of a webhook": ("http", b"HTTP/1.1 200 OK\r\nX: "),
    "the handshake of a webhook": ("https", HELLO),
    "the greeting of a mail server": ("none", b"220-"),
    "the reply of a mail server": ("none", b"220 hello\r\n250-"),
    "the handshake of a mail server": ("tls", HELLO),
}


@pytest.mark.parametrize("what", DRIPS)
def test_an_exchange_has_a_bound_as_a_whole_and_no_transaction_waits_for_it(post: Post, what: str) -> None:
    way, first = DRIPS[what]
    by_mail = way in ("none", "tls")
    with dripping(first) as port:
        if by_mail:
            post.settings(port, f'tls = "{way}"')
        else:
            url = f"{way}://127.0.0.1:{port}/"
            post.settings(webhook=f'\n[webhook]\nurl = "{url}"\ntimeout_seconds = 1\n')
        post.warn(audience=Audience.CLIENT if by_mail else Audience.ADMIN)
        done: list[Pass] = []
        sending = threading.Thread(target=lambda: done.append(post.send()))
        began = time.monotonic()
        sending.start()
        open_meanwhile = []
        while sending.is_alive():
            open_meanwhile += post.billing.sql(
                "SELECT pid, query FROM pg_stat_activity"
                " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
                " AND state_change < clock_timestamp() - interval '300 milliseconds'"
            )
            time.sleep(0.1)
        took = time.monotonic() - began

    assert took < 5, "the server would have gone on for ten seconds"
    assert open_meanwhile == []
    assert [one.deferred for one in done] == [1]
    assert "no answer in time" in next(iter(done[0].trouble.values()))


def test_an_answer_that_was_given_counts_though_its_body_never_ends(post: Post) -> None:
    post.warn(audience=Audience.ADMIN)
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n") as port:
        url = f"http://127.0.0.1:{port}/"
        post.settings(webhook=f'\n[webhook]\nurl = "{url}"\ntimeout_seconds = 3\n')
        began = time.monotonic()
        done = post.send()

    assert done.sent == 1
    assert time.monotonic() - began < 8, "the server would have gone on for ten seconds"


def test_a_mail_that_is_being_sent_is_not_sent_by_another_nor_queued_again(post: Post, box: Mailbox) -> None:
    post.warn()
    with post.billing.engine.begin() as connection:
        claimed = outbox.take(connection, "email", claim_seconds=60)
        assert claimed is not None

    assert post.mailer().run() == Pass()
    with pytest.raises(CommandError, match=f"mail {claimed.id} is being sent"):
        post.retry(claimed.id)
    post.billing.sql("UPDATE mail SET claimed_until = now() - interval '1 second'")
    assert post.mailer().run().sent == 1, "who claimed it has died"


# --- the history ------------------------------------------------------------------------------------


def test_mails_are_found_by_everything_that_they_have(post: Post, box: Mailbox) -> None:
    post.billing.sql(CLIENT.replace("Customer A", "Other"))
    post.warn()
    post.send()
    post.warn()
    found = {
        options: [mail["id"] for mail in post.billing("mails", "list", "--json", *options.split()).document]
        for options in (
            "--limit 1",
            "--state waiting --kind low_balance",
            "--recipient PAY@ --from 2026-03-01 --to 2026-03-03",
            "--client Other",
        )
    }
    asked: list[dict[str, Any]] = [
        {},
        {"client": "Customer A"},
        {"state": "sent"},
        {"kind": "other"},
        {"recipient": "%"},
        {"since": NOW + timedelta(seconds=1)},
        {"until": NOW},
    ]

    assert list(found.values()) == [[2], [2], [1], []]
    assert [[mail["id"] for mail in post.mails(**wanted)] for wanted in asked] == [
        [2, 1],
        [2, 1],
        [1],
        [],
        [],
        [],
        [],
    ]
    assert 'client "Custmer A" is not known' in post.billing("mails", "list", "--client", "Custmer A").err


def test_the_mails_of_a_client_who_is_gone_are_still_found(post: Post, box: Mailbox) -> None:
    post.warn()
    post.billing.sql("DELETE FROM client")
    sent = post.send()
    (kept,) = post.mails(client="Customer A")

    assert sent.failed == 1
    assert (kept["client"], kept["error"]) == ("Customer A", "the client no longer exists")


def test_what_cannot_be_tried_again_is_told(post: Post, box: Mailbox) -> None:
    post.warn()
    post.send()

    assert "there is no mail 7" in post.billing("mails", "retry", "7").err
    assert "there is no mail 7" in post.billing("mails", "show", "7").err
    assert post.billing("mails", "retry", "1", "7").code == 1
    assert re.search(r"mail 1 was sent at .*; nobody gets it twice", post.billing("mails", "retry", "1").err)
