"""Amounts of money for people."""

from decimal import Decimal

from django.conf import settings


def in_words(amount: Decimal) -> str:
    """ "1,234.50 EUR"; something below a hundredth is "< 0.01 EUR"."""
    if 0 < amount < Decimal("0.005"):
        return f"< 0.01 {settings.MLTEAM_CURRENCY}"
    shown = f"{amount:,.2f}".replace("-", "−")
    return f"{shown if shown != '−0.00' else '0.00'} {settings.MLTEAM_CURRENCY}"
