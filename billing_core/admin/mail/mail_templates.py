"""What mails say: a template for each kind, which the admin may replace by a file of his own.

A template is text with Jinja's marks; its first line is "Subject: ...". It sees the facts of its kind and
nothing else: a name that it does not know is an error, and it can't reach into Python.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import SandboxedEnvironment

import billing_core
from billing_core.money import shown
from billing_core.settings import Fault
from billing_core.visible import visible

_SUBJECT = "Subject:"


@dataclass(frozen=True, slots=True)
class MailKind:
    """A kind of mail: the key of `client.company` whose address it goes to, and facts to try it with."""

    address: str
    example: Mapping[str, Any]

    @property
    def address_name(self) -> str:
        """Return what people call the address."""
        return self.address.replace("_", " ")


KINDS = {
    "low_balance": MailKind(
        "billing_email",
        {
            "notify": "client",
            "client": "Customer A",
            "currency": "EUR",
            "value": "10",
            "available": "9.98",
            "live": "9.98",
            "credit": "0",
        },
    ),
    "blocked": MailKind(
        "noc_email",
        {
            "client": "Customer A",
            "blocked": "account",
            "value": "customer-a",
            "reason": '12 failed calls within 60 minutes, watch "failures" allows 10',
            "watch": "failures",
            "expires_at": "2026-12-31T23:00:00Z",
        },
    ),
}
"""The template of a kind is the file of its name, with .txt behind it."""

_COMMON_EXAMPLE = {"id": 1, "at": "2026-12-31T22:00:00Z", "company_name": "Customer A Ltd"}


class TemplateFaultError(Exception):
    """A template can't be used: its file, the line if it is known, and why."""

    def __init__(self, file: str, line: int, why: str) -> None:
        """Name the place and the reason."""
        super().__init__(f"{file}:{line}: {why}" if line else f"{file}: {why}")
        self.file, self.line, self.why = file, line, why


@dataclass(frozen=True, slots=True)
class Letter:
    """A written mail: a subject of one line, and a text."""

    subject: str
    body: str


class Templates:
    """The templates in a directory; those that are not there are as they come with the program."""

    def __init__(self, directory: Path) -> None:
        """Look first into *directory*, each time anew."""
        self._directory = directory
        loader = FileSystemLoader([directory, _sample()])
        # Plain text is escaped for nobody, but a fact may hold what somebody else chose.
        self._environment = SandboxedEnvironment(
            loader=loader,
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            finalize=_fact,
        )
        self._environment.filters["money"] = _money

    def write(self, kind: str, facts: Mapping[str, Any]) -> Letter:
        """Return the mail of that kind about *facts*. Raises TemplateFaultError."""
        name = f"{kind}.txt"
        file = str(self._directory / name)
        try:
            source, found, _ = self._environment.loader.get_source(self._environment, name)  # type: ignore[union-attr]
            file = found or file
            head, _, rest = source.partition("\n")
            if not head.startswith(_SUBJECT):
                raise TemplateFaultError(file, 1, f'must begin with "{_SUBJECT} ..." on its first line')
            subject = self._environment.from_string(head.removeprefix(_SUBJECT)).render(facts)
            body = self._environment.from_string("\n" + rest).render(facts)
        except TemplateNotFound as error:
            raise TemplateFaultError(file, 0, f"there is no such file: {error}") from None
        except (TemplateError, *_MISTAKES) as error:
            raise TemplateFaultError(file, getattr(error, "lineno", 0) or 0, str(error)) from None
        return Letter(" ".join(subject.split()), body.strip("\n") + "\n")

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with any template, found by writing a mail of each kind."""
        for name, kind in KINDS.items():
            try:
                self.write(name, {**_COMMON_EXAMPLE, **kind.example})
            except TemplateFaultError as error:
                yield Fault(Path(error.file), error.line, "", error.why)


# What a template may stumble over that Jinja does not put into words of its own, as in {{ 1 / 0 }}.
_MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OSError, RecursionError)


def _fact(value: object) -> object:
    return visible(value) if isinstance(value, str) else value


def _money(amount: object) -> str:
    """Return an amount with two decimals, rounded down."""
    try:
        return shown(Decimal(str(amount)))
    except InvalidOperation:
        raise ValueError(f'"{amount}" is not an amount') from None


def _sample() -> Path:
    """Return the directory of the templates that come with the program."""
    beside = Path(billing_core.__file__).resolve().parents[1]
    installed = beside / "radiusd" / "config_sample" / "mail"
    return installed if installed.is_dir() else beside / "config" / "mail"
