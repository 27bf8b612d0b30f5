"""The columns that nearly every table has: moments with their zone, texts, flags, and money."""

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, MetaData, Numeric, Text, text

metadata = MetaData()


def column_at(name: str, nullable: bool = True) -> Column[object]:
    """Return a column for a moment."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def column_text(name: str, nullable: bool = False) -> Column[object]:
    """Return a column for a text."""
    return Column(name, Text, nullable=nullable)


def column_money(name: str, nullable: bool = False) -> Column[object]:
    """Return a column for an amount or a price."""
    return Column(name, Numeric, nullable=nullable)


def column_flag(name: str) -> Column[object]:
    """Return a column for what is on or off; off unless set."""
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def amounts_are_numbers(table: str, *names: str, also: str = "") -> CheckConstraint:
    """Return what keeps NaN and infinity out: NUMERIC takes both, and nobody can reckon with them."""
    bounds = [f"{name} > '-Infinity' AND {name} < 'Infinity'" for name in names]
    return CheckConstraint(" AND ".join(bounds) + also, name=f"{table}_amounts_are_numbers")
