"""Rates files, CSV or XLSX: read in bounded memory, every fault named as `file:line: column: what`."""

from billing_core.rates_file.columns import RateRow
from billing_core.rates_file.reader import RatesReader, read_rates, twice

__all__ = ["RateRow", "RatesReader", "read_rates", "twice"]
