"""Which of a leg's numbers a record names: as its caller tells them, or its callee, who hangs up. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from billing_core.asked import asked_numbers
from billing_core.number import normalise
from billing_core.report import Report
from billing_core.session import Session


class Parties(NamedTuple):
    """Who calls whom by a record; *tech_prefix* is what the leg's account dials before a number."""

    report: Report
    tech_prefix: str

    @property
    def tell_number(self) -> bool:
        """Tell whether what was called is a number; some proxies name a party when the callee hangs up."""
        return bool(self._forms(self.report.called))

    def call(self, leg: Session) -> bool:
        """Tell whether the record names the number of *leg* as the called one."""
        called = self.report.called
        return bool(self._forms(called) & numbers(leg)) or called == leg.called

    def hang_up(self, leg: Session) -> bool:
        """Tell whether the callee ends the call: some proxies tell the parties of its BYE the other way."""
        return self.report.ends and bool(self._forms(self.report.calling) & numbers(leg))

    def hang_up_beside(self, leg: Session) -> bool:
        """Tell whether the callee ends another conversation that *leg* was asked for."""
        asked = {item.number for item in asked_numbers(leg.asked)}
        return self.report.ends and bool(self._forms(self.report.calling) & (numbers(leg) | asked))

    def named(self, leg: Session) -> set[str]:
        """Return the numbers of *leg* that the record names."""
        told = self._forms(self.report.called)
        if self.report.ends and not told & numbers(leg):
            told = self._forms(self.report.calling)
        return told & numbers(leg)

    def _forms(self, number: str) -> set[str]:
        """Return what *number* may mean: with or without the tech prefix."""
        told = (normalise(number), normalise(number.removeprefix(self.tech_prefix)))
        return {form for form in told if form is not None}


def numbers(leg: Session) -> set[str]:
    """Return the numbers that a leg is for, in their normal form: until it is bound, all it was asked for."""
    asked: Iterable[str] = () if leg.is_bound else (item.number for item in asked_numbers(leg.asked))
    return {normalise(leg.called) or leg.called, *asked}
