"""PostgreSQL: the truth about money and calls."""
