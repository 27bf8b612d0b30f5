"""The schema's versions, each with the reason for it."""
