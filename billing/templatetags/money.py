"""How amounts and hours are shown, and the balance in the account menu."""

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from django import template

from billing import payers
from billing.money import in_words
from billing.prices import money_shows

if TYPE_CHECKING:
    from projects.models import Project

register = template.Library()
CENT: Final = Decimal("0.01")


@register.filter
def money(amount: Decimal | None) -> str:
    """An amount with its currency; "" for none."""
    return "" if amount is None else in_words(amount)


@register.filter
def cents(amount: Decimal) -> str:
    """An amount in a column of amounts of one currency: "1,234.50"."""
    return f"{amount.quantize(CENT, ROUND_HALF_UP):,}"


@register.filter
def hours(value: Decimal) -> str:
    """Hours of use: "12.5", "1,204", "< 0.01"; an empty cell says "0"."""
    if 0 < value < Decimal("0.005"):
        return "< 0.01"
    return f"{value:,.2f}".rstrip("0").rstrip(".").replace("-", "−")


@register.simple_tag
def balance_for(project: "Project | None") -> Decimal | None:
    """What is left of who pays for the active project; None where nothing costs anything. Two queries at most."""
    if project is None or not money_shows():
        return None
    return payers.left_for(project.owner_id)
