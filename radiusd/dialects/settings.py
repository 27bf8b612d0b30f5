"""The keys of a `[[nas]]` by which it differs from its family, and what makes no sense among them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from billing_core.session import Leg
from billing_core.settings import Array, Section, different, one_of, words
from radiusd.codec import DictionaryError, dictionary_directory
from radiusd.dialects.dialect import (
    SOURCES,
    Dialect,
    EventForm,
    EventTime,
    Language,
    Limit,
    Sources,
    StartMeans,
    Unit,
    VsaForm,
)
from radiusd.dialects.reader import is_readable, tables

Word = Annotated[str, Field(min_length=1, max_length=247)]
Names = Annotated[Array[Word], AfterValidator(different)]
Vendor = Annotated[int, Field(ge=1, le=16_777_215)]
LegName = Annotated[Leg, one_of({leg.value: leg for leg in (Leg.ORIGINATION, Leg.TERMINATION)})]


def _base(value: int) -> int:
    if value not in (10, 16):
        raise ValueError(f"{value} is no base of disconnect causes; write 10 (decimal) or 16 (hexadecimal)")
    return value


def _choice(kind: Any) -> Any:
    """Return how a member of the enum *kind* is written: as its value."""
    return one_of({member.value: member for member in kind})


class DialectSettings(Section):
    """What a NAS may say differently from its dialect; the fields and their meaning are `Dialect`'s."""

    dictionaries: Names | None = None
    access_dictionaries: Names | None = None
    accounting_dictionaries: Names | None = None
    vendors: Annotated[Array[Vendor], AfterValidator(different)] | None = None
    call_id: Names | None = None
    session_id: Annotated[Names, Field(min_length=1)] | None = None
    call_origin: Names | None = None
    call_type: Names | None = None
    tags: Names | None = None
    legs: dict[Word, LegName] | None = None
    question_legs: dict[Word, LegName] | None = None
    attempt: Names | None = None
    account: Names | None = None
    caller_ip: Names | None = None
    calling: Names | None = None
    called: Annotated[Names, Field(min_length=1)] | None = None
    termination_address: Names | None = None
    termination_called: Names | None = None
    wanted_vendor: Names | None = None
    fixed_password: Annotated[str, Field(max_length=128)] | None = Field(default=None, repr=False)
    request_type: Names | None = None
    authenticates_alone: bool | None = None
    duration: Names | None = None
    duration_unit: Annotated[Unit, _choice(Unit)] | None = None
    trust_interim_duration: bool | None = None
    trust_delay: bool | None = None
    event_time: Annotated[EventTime, _choice(EventTime)] | None = None
    event_form: Annotated[EventForm, _choice(EventForm)] | None = None
    start_means: Annotated[StartMeans, _choice(StartMeans)] | None = None
    setup_time: Names | None = None
    connect_time: Names | None = None
    disconnect_time: Names | None = None
    answered_has_connect_time: bool | None = None
    disconnect_cause: Names | None = None
    disconnect_cause_base: Annotated[int, AfterValidator(_base)] | None = None
    sip_method: Names | None = None
    sip_response: Names | None = None
    sequence: Names | None = None
    vsa_form: Annotated[VsaForm, _choice(VsaForm)] | None = None
    reply_vendor: Vendor | None = None
    limit_attributes: (
        Annotated[
            Array[Annotated[Limit, _choice(Limit)]],
            Field(min_length=1),
            AfterValidator(different),
        ]
        | None
    ) = None
    language_attribute: Annotated[Language, _choice(Language)] | None = None
    languages: dict[Word, Word] | None = None
    currency_name: Annotated[str, words("h323-currency", "h323-currency-type")] | None = None


_MERGED = ("legs", "question_legs", "languages")


def differing(dialect: Dialect, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of *told* differs from *dialect*; of legs and languages only what is named changes."""
    merged = {key: {**getattr(dialect, key), **told[key]} for key in _MERGED if key in told}
    changed = {**told, **merged}
    return {key: value for key, value in changed.items() if value != getattr(dialect, key)}


def contradictions(dialect: Dialect, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and fault of what makes no sense together in a NAS's keys, as *written* and each sound."""
    files: dict[str, Any] = {
        key: tuple(written[key]) for key in _DICTIONARIES if written.get(key) is not None
    }
    missing = [*_unknown_files(files)]
    if missing:
        yield from missing
        return
    speaks = replace(dialect, **files, vendors=tuple(written.get("vendors") or dialect.vendors))
    try:
        for access in (True, False):
            tables(speaks, access=access)
    except DictionaryError as error:
        yield next(iter(files), "dialect"), str(error)
        return
    for key in SOURCES:
        for source in written.get(key) or ():
            if not is_readable(source, speaks):
                yield key, f'"{source}" is in no dictionary of this NAS, or is no value to read'
    if unlimited := _unlimited(dialect, written):
        yield unlimited


_DICTIONARIES = ("dictionaries", "access_dictionaries", "accounting_dictionaries")


def _unknown_files(files: Mapping[str, Sources]) -> Iterator[tuple[str, str]]:
    for key, names in files.items():
        for name in names:
            if not (dictionary_directory() / f"dictionary.{name}").is_file():
                known = sorted(file.suffix[1:] for file in dictionary_directory().glob("dictionary.*"))
                yield key, f"there is no dictionary.{name}; known here: {', '.join(known)}"


def _unlimited(dialect: Dialect, written: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the fault of an Accept that would let calls run without end; a NAS takes no limit for none."""
    form = written.get("vsa_form") or dialect.vsa_form.value
    limits = written.get("limit_attributes") or [limit.value for limit in dialect.limit_attributes]
    if form != VsaForm.NONE.value or set(limits) - {Limit.CREDIT_TIME.value}:
        return None
    key = "limit_attributes" if written.get("limit_attributes") else "vsa_form"
    return key, "lets calls run without end: without h323 attributes, session-timeout or sip-avp must limit"
