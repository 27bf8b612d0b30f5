"""Mails and webhooks: what waits, who sends it, and its history."""
