"""The columns that nearly every table has: moments with their zone, texts, and money without a limit."""

from sqlalchemy import Column, DateTime, MetaData, Numeric, Text

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
