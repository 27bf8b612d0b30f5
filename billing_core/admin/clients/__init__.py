"""Clients, their accounts and resellers: listed, searched, shown, exported, edited and deleted."""
