"""The API: the routers of all apps under /api/v1, and the document that describes them."""

from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE
from ninja.schema import NinjaGenerateJsonSchema

from access.routes import route
from accounts import admin_api
from accounts import api as accounts_api
from api import problems, replays
from api.callers import Browser, Token
from api.door import FIELDS, door, sparse
from billing import api as billing_api
from compute import api as compute_api
from datastores import api as datastores_api
from datastores import described as datastores_described
from jobs import api as jobs_api
from mlteam import health_api
from projects import api as projects_api
from projects import invitation_api, member_api, ownership_api, role_api, rule_api, third_party_api, trail_api
from teams import api as teams_api
from teams import invitation_api as team_invitation_api

DESCRIPTION = """What the pages can do, for programs. Send a personal token or a role's key as `Authorization: Bearer …`.

Lists come in pages: `next` and `previous` are cursors for `?cursor=`. `?fields=id,name` leaves only those fields. What went wrong
is said by a problem document (RFC 9457) whose `code` is stable. A POST with an `Idempotency-Key` is done once. `If-Match` with
the `ETag` of what was read makes an edit fail when somebody else was faster.
"""


ONLY_FIELDS = {
    "in": "query",
    "name": FIELDS,
    "required": False,
    "description": "only these fields of what is answered, with commas between",
    "schema": {"type": "string"},
}
_header = {"in": "header", "required": False}
IDEMPOTENCY_KEY = _header | {
    "name": "Idempotency-Key",
    "description": "done once for each key, for 24 hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": replays.LONGEST, "pattern": "^[!-~]+$"},
}
IF_MATCH = _header | {
    "name": "If-Match",
    "description": "the ETag of what was read: fails (412) where it has changed since",
    "schema": {"type": "string", "pattern": '^"[!#-~]+"$'},
}


_number = {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
HEADERS: dict[str, dict[str, Any]] = {  # of every answer
    "RateLimit-Limit": {"description": "how many requests one has in a minute; absent where there is no limit"}
    | _number,
    "RateLimit-Remaining": {"description": "how many of them are left"} | _number,
    "RateLimit-Reset": {"description": "in how many seconds they are all there again"} | _number,
}
ETAG = {"description": "the state that was read, for If-Match", "schema": {"type": "string"}}

EDITS = {"patch", "put", "delete"}
OFFERS = ("/offer", "/invitations/{invitation}")  # are taken back, never edited: they have no ETag


class Api(NinjaAPI):
    """Answers problems as documents, leaves out fields that nobody asked for, and says so in its own description."""

    def on_exception(self, request: HttpRequest, exc: Any) -> HttpResponse:
        return problems.of(request, exc)

    def create_response(self, request: HttpRequest, data: Any, **options: Any) -> HttpResponse:
        if request.method == "GET" and not options.get("status"):
            data = sparse(request, data)
        return super().create_response(request, data, **options)

    def get_openapi_operation_id(self, operation: Any) -> str:
        return f"{operation.view_func.__module__.partition('.')[0]}_{operation.view_func.__name__}"

    def get_openapi_schema(self, **options: Any) -> Any:
        document = super().get_openapi_schema(**options)
        model = problems.ProblemOut.model_json_schema(
            ref_template=REF_TEMPLATE, schema_generator=NinjaGenerateJsonSchema
        )
        document["components"]["schemas"] |= {**model.pop("$defs"), "Problem": model}
        document["components"]["headers"] = HEADERS | {"ETag": ETAG}
        document["paths"] |= datastores_described.paths("/api/v1")
        for path, methods in document["paths"].items():
            edited = "get" in methods and not EDITS.isdisjoint(methods) and not path.endswith(OFFERS)
            for method, operation in methods.items():
                _complete(method, operation, edited=edited)
        return document

    @property
    def urls(self) -> Any:
        patterns, *names = super().urls
        return [_open(pattern) for pattern in patterns], *names


def _complete(method: str, operation: dict[str, Any], *, edited: bool) -> None:
    """Adds to an operation's description what is the same for all: problems, the parameter `fields`, and headers; `edited`: of what
    is read at the same address, with an ETag."""
    content = {problems.TYPE: {"schema": {"$ref": REF_TEMPLATE.format(model="Problem")}}}
    operation["responses"]["4XX"] = {"description": "A problem document says why not.", "content": content}
    answered = operation["responses"].get(200, {}).get("content", {})
    for answer in operation["responses"].values():
        answer["headers"] = {name: _said(name) for name in HEADERS}
    if method == "get" and edited:
        operation["responses"][200]["headers"]["ETag"] = _said("ETag")
    more = []
    if method == "get" and "application/json" in answered:
        more = [ONLY_FIELDS]
    elif method == "post":
        more = [IDEMPOTENCY_KEY]
    elif method in EDITS and edited:
        more = [IF_MATCH]
    operation["parameters"] = [*operation["parameters"], *more]


def _said(header: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{header}"}


def _open(pattern: Any) -> Any:
    """The door decides who may enter, not the sign-in of pages; a method that an address does not have is a problem too."""
    view = pattern.callback

    async def later(request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
        return _allowed(request, await view(request, *args, **values))

    def now(request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
        response = view(request, *args, **values)
        if _is_head_of_a_get(request, response):
            request.method = "GET"
            response = view(request, *args, **values)
            request.method = "HEAD"
        return _allowed(request, response)

    opened: Any = later if iscoroutinefunction(view) else now
    opened.login_required = False
    opened.csrf_exempt = True  # the door asks for the token where there is a session
    pattern.callback = route("token")(opened)
    return pattern


def _is_head_of_a_get(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether a HEAD was refused of what can be read: it gets what a GET would, of which the server leaves out the body."""
    refused = request.method == "HEAD" and response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    return refused and "GET" in response.headers["Allow"]


def _allowed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return response
    problem = problems.plain(request, 405, f"Only {response.headers['Allow']} here.")
    problem.headers["Allow"] = response.headers["Allow"]
    return problem


api = Api(
    title="mlteam", version="1", description=DESCRIPTION, urls_namespace="api", docs_url=None, auth=[Token(), Browser()]
)
api.add_decorator(door, mode="view")
api.add_router("", accounts_api.router)
api.add_router("", projects_api.router)
api.add_router("", compute_api.router)
api.add_router("", member_api.router)
api.add_router("", invitation_api.router)
api.add_router("", ownership_api.router)
api.add_router("", third_party_api.router)
api.add_router("", trail_api.router)
api.add_router("", billing_api.router)
api.add_router("", datastores_api.router)
api.add_router("", jobs_api.router)
api.add_router("", teams_api.router)
api.add_router("", team_invitation_api.router)
api.add_router("", admin_api.router)  # before role_api, whose addresses begin like its own
api.add_router("", role_api.router)
api.add_router("", rule_api.router)
api.add_router("", health_api.router)
