"""What calls are priced and paid with is a number: NUMERIC would take NaN and infinity, too."""

from alembic import op

revision = "0009"
down_revision = "0008"

_NUMBERS = {
    "rate": ("price_per_minute", "setup_fee"),
    "exchange_rate": ("factor",),
    "client": ("credit", "charge_max", "low_balance_threshold"),
    "account": ("price_per_minute_max",),
    "balance": ("live", "reserved"),
}
_ALSO = {"rate": " AND setup_fee >= 0", "exchange_rate": " AND factor > 0"}


def upgrade() -> None:
    """Refuse them; a database that has some already is not upgraded until somebody has mended it."""
    for table, columns in _NUMBERS.items():
        bounds = [f"{column} > '-Infinity' AND {column} < 'Infinity'" for column in columns]
        condition = " AND ".join(bounds) + _ALSO.get(table, "")
        op.create_check_constraint(f"{table}_amounts_are_numbers", table, condition)
