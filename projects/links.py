"""The links of invitations to projects."""

from accounts.invitations import COPIED, EMAILED, Links
from projects.models import Invitation

__all__ = ["COPIED", "EMAILED", "address_of", "find", "listed", "token_of"]

_links = Links(Invitation, place="project", route="projects:invitation")
token_of, address_of, find, listed = _links.token_of, _links.address_of, _links.find, _links.listed
