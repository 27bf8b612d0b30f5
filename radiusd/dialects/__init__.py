"""How each family of softswitch writes a call in RADIUS attributes.

A dialect is a table of the ways in which switches differ; reading and writing obey the table. A new
family is a new table here.
"""

from radiusd.dialects.dialect import Dialect
from radiusd.dialects.families import FAMILIES

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in FAMILIES}
"""The families of softswitch whose way of writing a call is known, by name."""
