# Made from aio/things.py by sdk/unasync.py; change that.
"""What objects with verbs and lists of them share."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import PrivateAttr

from mlteam_sdk import asking
from mlteam_sdk.models import Thing

if TYPE_CHECKING:
    from typing_extensions import Self

    from mlteam_sdk.sync.client import MLTeam


class Bound(Thing):
    """Something that knows the client that told of it."""

    _client: "MLTeam" = PrivateAttr()

    @classmethod
    def told(cls, client: "MLTeam", data: Any) -> "Self":
        """The thing that these data say."""
        thing = cls.model_validate(data)
        thing._client = client
        return thing

    def _take(self, data: Any) -> None:
        """Becomes what these newer data say."""
        newer = type(self).model_validate(data)
        for name in type(self).model_fields:
            setattr(self, name, getattr(newer, name))
        if self.__pydantic_extra__ is not None:
            self.__pydantic_extra__.clear()
            self.__pydantic_extra__.update(newer.__pydantic_extra__ or {})


Kind = TypeVar("Kind", bound=Thing)
Items = list  # inside classes that have a method of that name


class Listing(Generic[Kind]):
    """The things below one address."""

    _paged = True

    def __init__(self, client: "MLTeam", path: str, kind: type[Kind]) -> None:
        self._client, self._path, self._kind = client, path, kind

    def _told(self, data: Any) -> Kind:
        return told(self._client, self._kind, data)

    def each(self, *, limit: int | None = None, **filters: Any) -> Generator[Kind, None, None]:
        """One after the other, asked for page by page; at most `limit`. Filters are those of the API: q, sort, mine …"""
        if self._paged:
            for data in self._client.pages(self._path, most=limit, **filters):
                yield self._told(data)
        else:
            for data in (self._client.get(self._path, **filters))["items"][:limit]:
                yield self._told(data)

    def list(self, *, limit: int | None = None, **filters: Any) -> Items[Kind]:
        """All of them, or the first `limit`."""
        return [one for one in self.each(limit=limit, **filters)]


class Collection(Listing[Kind]):
    """Things that each have an address of their own."""

    def get(self, id: str) -> Kind:
        """The one with this id. Raises NotFound."""
        return self._told(self._client.get(self._path + asking.path(id)))


def told(client: "MLTeam", kind: type[Kind], data: Any) -> Kind:
    """A thing of this kind, with its verbs where it has some."""
    return kind.told(client, data) if issubclass(kind, Bound) else kind.model_validate(data)
