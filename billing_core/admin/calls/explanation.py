"""What is known of a call in sentences, for people: the decision, what was heard, and how it was charged."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from billing_core.admin.output import Record, readable
from billing_core.denial import Denial
from billing_core.money import plain, read_rounding

DENIALS: dict[str, str] = {
    Denial.MALFORMED: "the request contradicts itself",
    Denial.UNTRUSTED_PATH: "nobody knows who asks: the request is not signed, and proves nothing",
    Denial.UNKNOWN_ACCOUNT: "no account fits what the request says",
    Denial.BAD_PASSWORD: "nothing proves who calls",
    Denial.UNSUPPORTED_DIGEST: "the caller proves itself in a way that is not taken here",
    Denial.CLIENT_STOPPED: "the client is not active",
    Denial.ACCOUNT_OFF: "the account may not bring calls",
    Denial.BLOCKED: "something bars the call",
    Denial.NO_RATE: "no rate fits the number",
    Denial.CAPACITY_ACCOUNT: "the account's capacity is used up",
    Denial.CAPACITY_CLIENT: "the client's capacity is used up",
    Denial.CAPACITY_RESELLER: "the capacity of a reseller is used up",
    Denial.CAPACITY_LOW_BALANCE: "the balance is low, and no more calls are allowed then",
    Denial.NO_MONEY: "nothing is usable",
    Denial.CREDIT_LIMIT: "the credit is used up",
    Denial.TOO_LITTLE: "what is usable does not pay the first interval, or no time is left",
    Denial.FAILURE: "nothing could be decided",
}

BOUNDS = {
    "money": "the longest call that the usable money pays",
    "charge_max": "the longest call that charge_max pays",
    "share": "the longest call that the client's share of his money pays",
    "max_call_seconds": "the longest call that is ever granted",
}


def sentences(explained: Record) -> Iterator[str]:
    """Yield the lines that tell the legs and refusals of a call in order of time."""
    told: list[tuple[datetime, Iterator[str]]] = [
        *((leg["opened_at"], _leg(leg)) for leg in explained["legs"]),
        *((refusal["at"], _refusal(refusal)) for refusal in explained["refusals"]),
    ]
    for _, lines in sorted(told, key=lambda item: item[0]):
        yield from lines


def _leg(leg: Record) -> Iterator[str]:
    facts = leg["decision"]
    was_authorized = "bound" in facts
    outcome = "accepted" if was_authorized else "not authorized, known from its records"
    yield _line(leg["opened_at"], f"{leg['leg']} leg {outcome}", leg)
    yield f"  conversation: {_conversation(leg)}"
    yield from _decided(leg)
    if was_authorized:
        yield f"  granted: {facts['seconds']} s, {BOUNDS[facts['bound']]}"
        until = f", pays the first {facts['set_aside_seconds']} s" if "set_aside_seconds" in facts else ""
        yield f"  set aside: {facts['set_aside']} {leg['currency'] or ''}{until}"
        yield from _moved(leg)
    elif "unrecognised" in facts:
        seen = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts["unrecognised"].items())
        yield f"  nobody was found for: {readable(seen) or 'a record without name and addresses'}"
    yield from _heard(leg)
    yield from _charged(leg)


def _refusal(refusal: Record) -> Iterator[str]:
    facts, reason = refusal["decision"], refusal["reason"]
    yield _line(refusal["at"], f"refused, {reason}: {DENIALS[reason]}", refusal)
    if "because" in facts:
        yield f"  because: {readable(facts['because'])}"
    if "left_out" in facts:
        yield f"  {facts['left_out']} more that named nobody were only counted in an earlier minute"
    if refusal["account"] is None:
        seen = {"name": facts.get("name"), "ip": facts.get("ip"), "calling": refusal["calling"]}
        yield "  asked by: " + ", ".join(f"{key} {readable(value)}" for key, value in seen.items() if value)
    yield from _decided(refusal)
    if "needed" in facts:
        yield from _missing(facts, refusal["client_currency"])


def _missing(facts: Record, currency: str) -> Iterator[str]:
    yield f"  needed: the first interval costs {facts['needed']} {currency}"
    short = Decimal(facts["needed"]) - Decimal(facts["usable"] or facts["needed"])
    if short > 0:
        yield f"  missing: {plain(short)} {currency}"


def _line(at: datetime, outcome: str, row: Record) -> str:
    numbers = f"from {readable(row['calling']) or 'nobody'} to {readable(row['called']) or 'nowhere'}"
    leg = f"leg {row['id']}" if "id" in row else f"leg key {row['leg_key']}"
    return f"{readable(at)} {row['nas']}: {outcome}; {numbers}; {leg}"


def _conversation(leg: Record) -> str:
    """Tell by what the leg is told from others of its call id."""
    told = [f"generation {leg['generation']}", f"session {readable(leg['session_id']) or 'unknown'}"]
    if leg["asked_session_id"] and leg["asked_session_id"] != leg["session_id"]:
        told.append(f"asked for as session {readable(leg['asked_session_id'])}")
    told.append(f"dialog {readable(' '.join(leg['tags']))}" if leg["tags"] else "its dialog is not told")
    if leg["call_type"]:
        told.append(f"seen from {readable(leg['call_type'])}")
    return ", ".join(told)


def _moved(leg: Record) -> Iterator[str]:
    """Tell of the other numbers that one leg was accepted for: it holds the dearest of them."""
    for other in leg["also_asked"]:
        yield (
            f"  also accepted for {readable(other['number'])}, code {other['code']}, "
            f"{readable(other['price_per_minute'])} a minute: the dearest counts until a record tells"
        )


def _decided(row: Record) -> Iterator[str]:
    facts = row["decision"]
    if row["account"] is not None or row["client"] is not None:
        by = f", matched by {facts['by']}" if "by" in facts else ""
        prefix = f", tech prefix {facts['tech_prefix']} taken off" if "tech_prefix" in facts else ""
        yield f"  account: {readable(row['account'])} of client {readable(row['client'])}{by}{prefix}"
    if "code" in facts:
        yield _rate(facts, row)
    if "policy" in facts:
        yield from _money(facts, row)
    if "capacity" in facts:
        yield f"  capacity: {', '.join(_places(facts['capacity']))}"


def _rate(facts: Record, row: Record) -> str:
    minimum, interval, grace = facts["volume"]
    terms = [
        f"code {facts['code']}",
        f"since {facts['effective_from']}" if "effective_from" in facts else "without a first date",
        f"{facts['price']} a minute",
        f"setup {facts['setup_fee']}",
        f"first {minimum} s, then every {interval} s, free up to {grace} s",
    ]
    if "time_profile" in facts:
        terms.append(f"time profile {readable(facts['time_profile'])}")
    if "factor" in facts:
        terms.append(f"converted to {row['client_currency']} by {facts['factor']}")
    return f"  rate: {', '.join(terms)}"


def _money(facts: Record, row: Record) -> Iterator[str]:
    usable = "no limit, postpaid" if facts["usable"] is None else f"{facts['usable']} usable"
    own = f" ({facts['own']} by this call)" if "own" in facts else ""
    share = f" among {facts['share_among']}" if "share_among" in facts else ""
    highest = f", one call at most {facts['charge_max']}" if "charge_max" in facts else ""
    yield (
        f"  money in {row['client_currency']}: live {facts['live']}, credit {facts['credit']}, "
        f"reserved {facts['reserved']}{own}, {usable}{highest}; policy {facts['policy']}{share}"
    )
    for holder in row["held_by_others"]:
        yield f"  money held by {_holder(holder, row)}"


def _holder(holder: Record, row: Record) -> str:
    """Tell which call holds how much from when to when; of the same call id, which leg of it."""
    is_same_call = holder["call_id"] and holder["call_id"] == row["call_id"]
    other = f", leg {holder['id']} to {readable(holder['called'])}" if is_same_call else ""
    until = "a decision about it" if holder["waits_for_decision"] else readable(holder["closed_at"]) or "now"
    return (
        f"call {readable(holder['call_id'] or holder['session_id'])}{other}: "
        f"{holder['set_aside'] or 'unknown'} from {readable(holder['opened_at'])} to {until}"
    )


def _places(capacity: Record) -> Iterator[str]:
    for level in ("account", "client", "low_balance"):
        if level in capacity:
            limit, in_use = capacity[level]
            below = f" (below {capacity['low_balance_threshold']})" if level == "low_balance" else ""
            yield _place(level.replace("_", " ") + below, limit, in_use)
    for name, limit, in_use in capacity.get("resellers", ()):
        yield _place(f"reseller {readable(name)}", limit, in_use)
    if capacity.get("held"):
        yield "one of them this call's own"


def _place(level: str, limit: int | None, in_use: int) -> str:
    return f"{level} {in_use} under way" + (f" of {limit}" if limit is not None else ", no limit")


def _heard(leg: Record) -> Iterator[str]:
    heard = {key: value for key, value in leg["heard"].items() if value not in (None, False, 0)}
    told = ", ".join(f"{key.replace('_', ' ')} {_fact(value)}" for key, value in heard.items())
    reserved = f", {readable(leg['reserved'])} {leg['currency']} reserved" if leg["reserved"] else ""
    yield f"  heard: {told}"
    yield f"  state: {leg['state']}{' (estimated)' if leg['estimated'] else ''}{reserved}"
    if leg["decided_seconds"] is not None:
        charged = f"charged for {leg['decided_seconds']} s" if leg["decided_seconds"] else "waived"
        yield f"  decided: {charged}; `billing audit --object xdr {leg['id']}` tells by whom"
    elif leg["reserved"] and leg["state"] == "closed":
        yield f"  waits for a decision: `billing xdrs charge {leg['id']}` or `billing xdrs waive {leg['id']}`"


def _fact(value: object) -> str:
    return "yes" if value is True else readable(value)


def _charged(leg: Record) -> Iterator[str]:
    for revision in leg["revisions"]:
        currency = revision["currency"] or ""
        reason = f" ({revision['reason']})" if revision["reason"] else ""
        duration = "unknown" if revision["duration_seconds"] is None else f"{revision['duration_seconds']} s"
        yield (
            f"  xdr {revision['revision']}: {revision['state']}{reason}, "
            f"dated {readable(revision['dated_at'])}, lasted {duration}, "
            f"billed {revision['billed_seconds']} s, {readable(revision['amount'])} {currency}"
        )
    if leg["revisions"] and leg["price"] is not None and leg["revisions"][-1]["billed_seconds"]:
        yield _computation(leg["price"], leg["revisions"][-1])


def _computation(price: Record, last: Record) -> str:
    """Write the charge so that it can be done again by hand."""
    factor = f" x {readable(price['factor'])}" if price["factor"] is not None else ""
    rounding = "6 places, half up"
    if price["rounding"]:
        pinned = read_rounding(price["rounding"])
        rounding = f"{pinned.places} places, {pinned.mode.replace('_', ' ')}"
    return (
        f"  charge: ({readable(price['setup_fee'])} + {readable(price['price_per_minute'])} x "
        f"{last['billed_seconds']} / 60){factor} = {readable(last['amount'])} {last['currency']}, "
        f"rounded to {rounding}; code {price['code']} {readable(price['destination'])}"
    )
