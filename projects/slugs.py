"""Addresses of projects: made once from the first name, never changed."""

from django.utils.text import slugify

from projects.models import Project

LONGEST = 50  # of the 60 that fit, so that a number can follow
PERSONAL = "personal-"


def free_slug(name: str) -> str:
    """A slug for a project of this name that nobody has, and that looks like nobody's Personal project."""
    slug = slugify(name)[:LONGEST].strip("-_") or "project"
    if slug == PERSONAL.strip("-") or slug.startswith(PERSONAL):
        slug = f"project-{slug}"[:LONGEST]
    return _numbered(slug)


def personal_slug(username: str) -> str:
    """The slug of a user's Personal project."""
    return _numbered(PERSONAL + username)


def _numbered(slug: str) -> str:
    taken = set(Project.objects.present().filter(slug__startswith=slug).values_list("slug", flat=True))
    number, candidate = 1, slug
    while candidate in taken:
        number += 1
        candidate = f"{slug}-{number}"
    return candidate
