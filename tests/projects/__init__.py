"""Projects: members, invitations, pages."""
