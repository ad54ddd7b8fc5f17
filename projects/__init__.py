"""What is shared: projects, members, invitations, the audit trail."""
