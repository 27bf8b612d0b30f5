"""A test call through the wire, as a switch would place it: authorize, start, stop, and what it cost."""

import secrets
from dataclasses import dataclass, replace

from billing_core.storage.connection import connect
from radiusd import clock
from radiusd.codec import encode
from radiusd.config import Config
from radiusd.credentials import hide_password
from radiusd.database import serving_url
from radiusd.exchange import ask
from radiusd.nas import Nas
from radiusd.wire import Code

_START, _STOP = 1, 2

_ACCOUNT = """
    SELECT account.name, account.password, account.ip, account.ani, account.tech_prefix
    FROM account JOIN client ON client.id = account.client_id
    WHERE account.orig AND %s IN (account.name, account.ip, account.ani) ORDER BY account.id LIMIT 1"""

_COST = """
    SELECT xdr.amount, xdr.currency, xdr.state, balance.live FROM xdr
    LEFT JOIN balance ON balance.client_id = xdr.client_id
    WHERE (xdr.leg_key, xdr.generation) IN (SELECT leg_key, generation FROM session WHERE call_id = %s)
    ORDER BY xdr.generation, xdr.revision DESC LIMIT 1"""


class TrialError(Exception):
    """The test call can't be placed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a test call went. Absent values were not given, or the call was refused before them."""

    account: str
    number: str
    accepted: bool
    return_code: str | None
    message: str | None
    credit_time_seconds: int | None
    language: str | None
    seconds: int
    amount: str | None = None
    currency: str | None = None
    state: str | None = None
    live: str | None = None


@dataclass(frozen=True, slots=True)
class _Account:
    name: str | None
    password: str | None
    ip: str | None
    ani: str | None
    tech_prefix: str


def place(settings: Config, account: str, number: str, seconds: int) -> Trial:
    """Place a call of *seconds* from *account* (its name, IP or ANI) to *number*.

    Nothing is waited for: the Stop says how long the call was. Raises TrialError, NoAnswerError,
    and StorageDownError when the database of *settings* can't be reached.
    """
    nas, server = _nas(settings)
    caller = _find(settings, account)
    call_id = secrets.token_hex(16)
    session_id = secrets.token_hex(8)
    common = _common(caller, number, call_id, session_id)
    authenticator = secrets.token_bytes(16)
    proof = b""
    if caller.name and caller.password is not None:
        hidden = hide_password(caller.password, authenticator, nas.secret)
        proof = encode("User-Password", hidden)
    auth = (server, settings.radius.auth_port)
    answer = ask(auth, Code.ACCESS_REQUEST, common + proof, nas.secret, authenticator=authenticator)
    told = answer.attributes
    accepted = answer.code is Code.ACCESS_ACCEPT
    trial = Trial(
        account,
        number,
        accepted,
        told.text("h323-return-code"),
        told.text("Reply-Message"),
        told.integer("Session-Timeout"),
        told.text("h323-preferred-lang"),
        seconds,
    )
    if not accepted:
        return trial
    acct = (server, settings.radius.acct_port)
    common += b"".join(encode("Class", value) for value in told.raws("Class"))
    ask(acct, Code.ACCOUNTING_REQUEST, encode("Acct-Status-Type", _START) + common, nas.secret)
    ended = encode("Acct-Status-Type", _STOP) + encode("Acct-Session-Time", seconds)
    ask(acct, Code.ACCOUNTING_REQUEST, ended + common, nas.secret)
    return _with_cost(trial, settings, call_id)


def _common(caller: _Account, number: str, call_id: str, session_id: str) -> bytes:
    attributes = [
        encode("Called-Station-Id", caller.tech_prefix + number),
        encode("Acct-Session-Id", session_id),
        encode("h323-conf-id", f"h323-conf-id={call_id}"),
        encode("Event-Timestamp", int(clock.now().timestamp())),
    ]
    if caller.name:
        attributes.append(encode("User-Name", caller.name))
    if caller.ip:
        attributes.append(encode("h323-remote-address", f"h323-remote-address={caller.ip}"))
    if caller.ani:
        attributes.append(encode("Calling-Station-Id", caller.ani))
    return b"".join(attributes)


def _nas(settings: Config) -> tuple[Nas, str]:
    """Return the NAS that this machine is to the daemon, and the daemon's address."""
    for address in ("127.0.0.1", "::1"):
        nas = settings.nas.find(address)
        if nas is not None:
            return nas, address
    raise TrialError(
        "no [[nas]] of radiusd.toml has the address 127.0.0.1 or ::1, and a test call comes from there:"
        ' add one with address = "127.0.0.1" and a secret'
    )


def _find(settings: Config, account: str) -> _Account:
    with connect(serving_url(settings), application="radiusd call").cursor() as cursor:
        cursor.execute(_ACCOUNT, (account,))
        found = cursor.fetchone()
    if found is None:
        raise TrialError(
            f"no account that may originate calls has the name, IP or ANI {account!r}:"
            " see `billing clients list`"
        )
    return _Account(*found)


def _with_cost(trial: Trial, settings: Config, call_id: str) -> Trial:
    with connect(serving_url(settings), application="radiusd call").cursor() as cursor:
        cursor.execute(_COST, (call_id,))
        found = cursor.fetchone()
    if found is None:
        return trial
    amount, currency, state, live = found
    return replace(
        trial,
        amount=f"{amount:f}",
        currency=currency,
        state=state,
        live=None if live is None else f"{live:f}",
    )
