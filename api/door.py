"""What happens before and after every operation: who asks is found out, counted and checked; the answer says what is left."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from ninja.operation import Operation

from api import limits, problems, replays
from api.callers import Browser, Caller, Token

FIELDS = "fields"  # ?fields=id,name leaves only those of what a GET answers
_ways = (Token(), Browser())


def door(run: Callable[..., Any]) -> Callable[..., Any]:
    """An operation as the network reaches it; `run` is the method of ninja's operation."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]
    if operation.is_async:

        @wraps(run)
        async def later(request: Any, **values: Any) -> HttpResponseBase:
            refusal = await sync_to_async(_enter)(request, operation)
            return _leave(request, refusal or await run(request, **values))

        return later

    done = run if getattr(operation.view_func, "each_time", False) else replays.once(run)

    @wraps(run)
    def now(request: Any, **values: Any) -> HttpResponseBase:
        refusal = _enter(request, operation)
        return _leave(request, refusal or done(request, **values))

    return now


def _enter(request: Any, operation: Operation) -> HttpResponseBase | None:
    """The answer to whom the operation stays shut."""
    request.auth = request.rate = None
    try:
        if operation.auth_callbacks:
            request.auth = caller_of(request)
            request.rate = limits.count(request.auth) if request.auth else None
        _check_query(request, operation)
    except Exception as error:
        return problems.of(request, error)
    return None


def caller_of(request: HttpRequest) -> Caller | None:
    """Who asks; None for nobody. Raises for a token that is worth nothing."""
    found = (way(request) for way in _ways)
    return next((caller for caller in found if caller), None)


def _leave(request: Any, response: HttpResponseBase) -> HttpResponseBase:
    limits.tell(response, request.rate)
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response


def _check_query(request: HttpRequest, operation: Operation) -> None:
    """Raises Problem for a parameter that the operation does not have: a filter with a typo would let everything through."""
    known = {*_query_of(operation), *([FIELDS] if request.method == "GET" else [])}
    if unknown := sorted(set(request.GET) - known):
        said = f"is none of {', '.join(sorted(known))}" if known else "is not known here"
        raise problems.invalid((name[:100], said) for name in unknown)


def _query_of(operation: Operation) -> Iterator[str]:
    for model in operation.models:
        if model.__ninja_param_source__ == "query":
            for name, field in model.model_fields.items():
                yield from getattr(model, "__ninja_flatten_map__", None) or (field.alias or name,)


def sparse(request: HttpRequest, data: Any) -> Any:
    """What ?fields= leaves of an answer. Raises Problem for fields that it does not have."""
    wanted = [name.strip() for name in request.GET.get(FIELDS, "").split(",") if name.strip()]
    if not wanted or not isinstance(data, dict):
        return data
    if isinstance(data.get("items"), list):
        return {**data, "items": [_only(item, wanted) for item in data["items"]]}
    return _only(data, wanted)


def _only(item: Any, wanted: list[str]) -> Any:
    if unknown := [name for name in wanted if name not in item]:
        raise problems.invalid([(FIELDS, f"“{unknown[0][:60]}” is none of {', '.join(item)}")])
    return {name: item[name] for name in wanted}
