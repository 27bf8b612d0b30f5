"""What definitions say and what the database holds of them, side by side, and how the two differ."""
