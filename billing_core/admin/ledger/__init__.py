"""The ledger: bookings, rating again, months, and the rules that everything must obey."""
