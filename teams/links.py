"""The links of invitations to teams."""

from accounts.invitations import COPIED, EMAILED, Links
from teams.models import TeamInvitation

__all__ = ["COPIED", "EMAILED", "address_of", "find", "listed", "token_of"]

_links = Links(TeamInvitation, place="team", route="teams:invitation")
token_of, address_of, find, listed = _links.token_of, _links.address_of, _links.find, _links.listed
