"""Access: every answer, every way of asking, every route."""
