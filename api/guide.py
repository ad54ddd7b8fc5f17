"""What is the same for all operations, said for people; it stands on the reference page and in docs/api.md, before the operations.

Words between backticks are code. A text that begins with "$ " is commands.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Section:
    """A heading, what addresses it, and texts below it."""

    id: str
    title: str
    texts: tuple[str, ...]


# Code of a problem -> its status, and when it is answered.
CODES: Final[dict[str, tuple[int, str]]] = {
    "bad_request": (400, "The request makes no sense: its body is no JSON, or a header is none."),
    "not_signed_in": (
        401,
        "There is no token, or it is worth nothing: wrong, revoked, expired, or its account is closed.",
    ),
    "not_granted": (403, "You see the thing but may not do this to it; `missing` is the rule that you lack."),
    "not_yours": (403, "Your level allows this only on what you created yourself."),
    "no_access": (403, "You hold nothing in this project."),
    "signed_out": (403, "Whoever asks has no account that is active."),
    "not_held": (403, "Nobody grants what they do not hold; `missing` is what you lack."),
    "owner": (403, "This is for, or not for, the owner of a project; `detail` says which."),
    "by_rules": (403, "You are here by a team, role or policy, and cannot leave it as a member does."),
    "from_above": (403, "You are here as a member of a project that this one is in: leave that one."),
    "child": (403, "It has the owner of the project that it is in: hand that one over."),
    "by_team": (403, "Somebody is here by a team: change the team."),
    "not_staff": (403, "Only the installation's staff may do this."),
    "seen_as": (403, "You look at the project as somebody else, and change nothing meanwhile."),
    "predefined": (403, "Every project has this role as it is."),
    "personal": (403, "A Personal project is not shared."),
    "unverified": (403, "Confirm your address first."),
    "person_needed": (403, "A role's key cannot do this, for it would be nobody's: send a personal token."),
    "read_only_token": (403, "The token only reads."),
    "second_step_required": (403, "This installation requires a second step at sign-in, and you have not set one up."),
    "csrf": (403, "A browser's session came without its X-CSRFToken."),
    "other_account": (403, "The invitation is for another address than yours."),
    "not_found": (404, "There is nothing here, or nothing that you may see: the two are answered alike."),
    "method_not_allowed": (405, "This address does not take this method; `Allow` says which it takes."),
    "conflict": (409, "It cannot be done as things stand; `detail` says why."),
    "not_confirmed": (409, "To remove this, say its name: `?confirm=NAME`."),
    "changed": (412, "Somebody changed the thing since you read it: read it again."),
    "in_use": (409, "Something uses this, so it cannot be removed now; `users` says what."),
    "other_base": (409, "What changed was told of a version that is not the latest: send the whole manifest."),
    "incomplete": (409, "Some content of the upload has not arrived: ask what is missing, send it, commit again."),
    "gap": (409, "The piece begins after what is here: go on at `received`."),
    "quota": (409, "There would be more content than the project, or the volume, may have."),
    "lost": (
        410,
        "The content is missing or damaged in the store; a push that has it heals it, and admins are told each night.",
    ),
    "too_large": (413, "The request is larger than the server takes."),
    "invalid": (422, "Fields or parameters are wrong; `errors` names each."),
    "damaged": (422, "What arrived is not what its hash says; `errors` names the hashes. Send it again."),
    "idempotency_mismatch": (422, "The Idempotency-Key was used for another request."),
    "too_many_requests": (429, "You asked too often; `Retry-After` says for how many seconds to wait."),
    "failed": (500, "Something is broken here; report it with the `reference`."),
    "store_away": (503, "The store of the content does not answer; try again in a while."),
    "full": (507, "The server's disk is full; nothing is lost, go on when there is room."),
}

SECTIONS: Final = (
    Section(
        "tokens",
        "Tokens",
        (
            "Each request says who asks: `Authorization: Bearer TOKEN`. A personal token (`mlt_…`) stands for you; it reads, or may do "
            "all that you may. `mlteam login` gets one, or the page Tokens of your profile. A role's key (`mlr_…`) may do what the "
            "role's policies allow to projects, jobs and data, and nothing that is about persons.",
            "$ export MLTEAM_URL=https://mlteam.example.com MLTEAM_TOKEN=mlt_…\n"
            '$ curl -H "Authorization: Bearer $MLTEAM_TOKEN" $MLTEAM_URL/api/v1/me',
            "A program gets a token of its own by the device grant of RFC 8628: it asks `POST /device/code` and shows the address and "
            "the code of the answer; when its owner has approved them in a browser, `POST /device/token` answers the token. Both take "
            "a form, and answer errors as that RFC says.",
            "$ curl $MLTEAM_URL/api/v1/device/code -d client_id=mlteam -d scope=read -d machine=$(hostname)\n"
            "$ curl $MLTEAM_URL/api/v1/device/token -d client_id=mlteam -d device_code=… \\\n"
            "    -d grant_type=urn:ietf:params:oauth:grant-type:device_code",
            "Pages of mlteam itself ask with the session of the browser, and with its X-CSRFToken when they change something.",
            "Some things are done in a browser alone, so that a token that got out cannot keep itself or shut its owner out: "
            "making tokens, passwords and second steps, ending sessions, another address, deleting an account. Prices, credits "
            "and billing accounts are set in the staff's pages.",
        ),
    ),
    Section(
        "values",
        "Values",
        (
            "All is JSON in UTF-8. Times are RFC 3339 in UTC. Money is a string with a decimal point. An id is a word that means "
            "nothing; `urn` is the name of a thing in rules and policies. `mine` says whether a thing is yours.",
            "Where a body names a user, their username will do as well, and for a team its address, its `slug`.",
            "A parameter that an operation does not have is an error, so that a filter with a typo does not let everything through. "
            "`?fields=id,name` leaves only these fields of an answer, or of each item of a list.",
        ),
    ),
    Section(
        "lists",
        "Lists",
        (
            "A list comes in pages: `items`, and `next` and `previous`, the cursors of the pages beside it or null. `?cursor=` asks "
            "for the page at one, `?limit=` for so many items (1 to 200, usually 50). Where there is `?sort=`, a `-` before the name "
            "turns the order around. Nothing is skipped or comes twice when something is added meanwhile.",
        ),
    ),
    Section(
        "idempotency",
        "The same request twice",
        (
            "A POST with an `Idempotency-Key`, 1 to 255 visible ASCII characters that you choose, is done once: for 24 hours the same "
            "request with the same key is answered with the same answer, and `Idempotency-Replayed: true`. So it can be sent again "
            "when its answer was lost. The same key with another request is refused.",
        ),
    ),
    Section(
        "edits",
        "Edits",
        (
            "The answer about a single thing that can be edited has an `ETag`. Sent as `If-Match` with a PATCH, PUT or DELETE, it "
            "makes the edit fail (412) when somebody else was faster.",
        ),
    ),
    Section(
        "limits",
        "Limits",
        (
            "`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` say how often you may ask, how often still, and in how "
            "many seconds the count begins anew. It is one count for all tokens of an account, and one for all keys of a role.",
        ),
    ),
    Section(
        "events",
        "Following a log",
        (
            "`GET /jobs/{job}/attempts/{index}/log/events` sends events (server-sent events) for as long as the attempt lasts. The "
            "`id` of each is the byte after what it shows: whoever reads on with `Last-Event-ID` or `?from=` misses nothing and "
            'reads nothing twice. `log` has `{"offset", "text"}`; bytes that are no UTF-8 are lone surrogates (Python\'s '
            '`surrogateescape`). `state` has `{"state", "reason", "sentence"}`. `end` closes the stream, with the exit status and '
            "with `next_attempt`, where the job goes on. `gone` closes it when you may no longer read it. A comment every 15 seconds "
            "shows that the line stands.",
        ),
    ),
    Section(
        "problems",
        "Problems",
        (
            "What went wrong is said by a problem document (RFC 9457, `application/problem+json`): `code` is stable and what a program "
            "looks at; `detail` is a sentence that says what to do; `reference` is what the server's log calls the request by. A "
            "refusal has the `action` and, where a rule would have allowed it, `missing`. The codes:",
        ),
    ),
)
