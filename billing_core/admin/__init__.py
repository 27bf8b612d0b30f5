"""The `billing` command: definitions, payments, rates and reports."""
