"""How programs ask: what every router of the API shares.

    callers    who asks: a personal token, a role's key, or a browser's session
    ranges     parts of what is long
    problems   what went wrong, as RFC 9457 says it
    lists      pages by cursor
    etags      edits that are refused when somebody else was faster
    replays    the same request made twice is done once
    limits     how often somebody may ask

Each app says in its `api.py` what can be asked of it; `mlteam.api` puts them together under /api/v1. An operation names its
action (`@access.route`), fetches through access and calls the actions that pages call.
"""
