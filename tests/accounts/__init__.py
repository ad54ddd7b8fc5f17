"""Accounts: signing up, in and out, the first one, email."""
