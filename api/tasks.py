"""Doors for Celery."""

from celery import shared_task

from api import replays


@shared_task(ignore_result=True)
def forget_answers() -> None:
    """Removes answers that nobody asks for again."""
    replays.forget()
