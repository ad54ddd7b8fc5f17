"""Datasets, models and volumes: what there is, sending a folder as a new version, and bringing one here."""

import hashlib
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import PrivateAttr

from mlteam_sdk import asking, manifests, volumes
from mlteam_sdk.aio import bringing, driver, pulling, pushing, ranges
from mlteam_sdk.aio.things import Bound, Collection, Items, Listing
from mlteam_sdk.asking import Ask
from mlteam_sdk.errors import Damaged, NotFound
from mlteam_sdk.folders import LeftOut
from mlteam_sdk.landing import Landing
from mlteam_sdk.manifests import Difference, Entry
from mlteam_sdk.models import Change, Content, DatastoreFacts, DatastoreUser, ImportFacts, VersionFacts
from mlteam_sdk.progress import Meter, OnProgress

if TYPE_CHECKING:
    from mlteam_sdk.aio.client import MLTeam

MOST_MANIFEST = 513 << 20  # bytes
VOLUME = "volume"
LOOKS = 1.0  # seconds between two looks at an import
OnImport = Callable[[ImportFacts], None]
Here = str | os.PathLike[str]
Bytes = bytes  # inside classes that have a field of that name


@dataclass(frozen=True)
class Plan:
    """What a push would do: the files that the version would have, and what is different from the newest version."""

    entries: list[Entry]
    changes: list[Difference]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class Pulled:
    """What came: how many files were brought and their bytes, and how many were there already; of a volume, which has no versions,
    also what was left out and why."""

    version: "Version | None"
    fetched: int
    bytes: int
    there: int
    left_out: list[LeftOut] = field(default_factory=list)


class Version(VersionFacts, Bound):
    """A version of a dataset or model."""

    _datastore: str = PrivateAttr("")

    @property
    def _path(self) -> str:
        return asking.path("datastores", self._datastore, "versions", self.number)

    async def manifest(self) -> list[Entry]:
        """All its files, with their checksums. Raises Damaged when they are not what the digest says."""
        ask = Ask("GET", f"{self._path}/manifest", headers={"Accept": "*/*"}, slow=True)
        text = await ranges.whole(self._client, ask, MOST_MANIFEST)
        if hashlib.sha256(text).hexdigest() != self.digest:
            raise Damaged("The list of files arrived damaged. Try again; if it stays so, tell who runs the server.")
        return await driver.aside(manifests.parse, text)

    def content(self, path: str = "") -> Listing[Content]:
        """What is in a directory of it: `.list()`, `.each()`."""
        return _Contents(self._client, f"{self._path}/content", Content, manifests.remote(path or "."))

    async def read(self, path: str, *, offset: int = 0, end: int | None = None) -> AsyncGenerator[Bytes, None]:
        """The bytes of a file, in pieces."""
        address = f"{self._path}/files{asking.path(*manifests.clean(path).split('/'))}"
        async with aclosing(ranges.read(self._client, address, offset=offset, end=end)) as pieces:
            async for piece in pieces:
                yield piece

    async def pull(self, to: Here = ".", *, path: str = "", on_progress: OnProgress | None = None) -> Pulled:
        """Brings its files, or those at `path`, below `to`, where each has the path that it has in the version.

        What is there with the same content is not fetched; a file with another content is replaced, others stay. A file has its name
        when it is whole and its checksum is right. Raises NotFound, Damaged, UnsafePath.
        """
        wished = manifests.remote(path or ".")
        entries = manifests.below(await self.manifest(), wished)
        if wished and not entries:
            raise NotFound(404, {"code": "not_found", "detail": f"There is no {wished} in version {self.number}."})
        work = pulling.Pulling(self._client, self._path, Path(to), on_progress)
        await work.run(entries)
        return Pulled(self, work.fetched, work.bytes, len(entries) - work.fetched)

    async def archive(
        self, to: Here, *, path: str = "", format: str = "zip", on_progress: OnProgress | None = None
    ) -> Path:
        """Brings its files, or those at `path`, as one archive: zip or tar. How large it will be is not known."""
        return await _archive(self._client, self._path, to, manifests.remote(path or "."), format, on_progress)


async def _archive(
    client: "MLTeam", address: str, to: Here, path: str, format: str, on_progress: OnProgress | None
) -> Path:
    target, meter = Path(to), Meter(on_progress, "fetching", 0, 0)
    ask = Ask("GET", f"{address}/archive", {"path": path or None, "format": format}, headers={"Accept": "*/*"})
    with Landing(target.parent, target.name, None) as landing:
        try:
            async with client.stream(ask) as response:
                async for piece in response.aiter_bytes():
                    landing.write(piece)
                    meter.add(size=len(piece))
        except httpx.TransportError as error:  # it is made as it is sent: nothing of it can be asked for again
            raise asking.broken(error, client.settings) from error
    meter.end()
    return target


class _Contents(Listing[Content]):
    """What is in one directory."""

    def __init__(self, client: "MLTeam", path: str, kind: type[Content], directory: str) -> None:
        super().__init__(client, path, kind)
        self._directory = directory

    async def each(self, *, limit: int | None = None, **filters: Any) -> AsyncGenerator[Content, None]:
        """One after the other."""
        async with aclosing(super().each(limit=limit, path_=self._directory or None, **filters)) as found:
            async for one in found:
                yield one


@dataclass(frozen=True)
class Pushed:
    """What became of a push. `new`: there is a new version; otherwise nothing had changed. `files`: contents that were sent. A volume
    has no versions (None)."""

    version: Version | None
    new: bool
    files: int
    bytes: int
    left_out: list[LeftOut]


class Versions(Collection[Version]):
    """The versions of one dataset or model, newest first; `get` takes a number, or "latest"."""

    def __init__(self, client: "MLTeam", datastore: str) -> None:
        super().__init__(client, asking.path("datastores", datastore, "versions"), Version)
        self._datastore = datastore

    def _told(self, data: Any) -> Version:
        version = Version.told(self._client, data)
        version._datastore = self._datastore
        return version

    async def get(self, id: str | int = "latest") -> Version:
        """The version of this number, or the newest. Raises NotFound."""
        return self._told(await self._client.get(self._path + asking.path(id)))


class Import(ImportFacts, Bound):
    """A version that the server makes of what lies at an address."""

    @property
    def _path(self) -> str:
        return asking.path("imports", self.id)

    async def refresh(self) -> "Import":
        """Reads again how far it is."""
        self._take(await self._client.get(self._path))
        return self

    async def wait(self, timeout: float | None = None, *, on_change: OnImport | None = None) -> "Import":
        """Waits until it has ended, well or not: `state` and `said` say how. Raises TimeoutError after so many seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while not (await self.refresh()).ended:
            if on_change:
                on_change(self)
            left = LOOKS if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"The import {self.id} has not ended after {timeout} seconds.")
            await driver.sleep(min(LOOKS, left))
        return self

    async def stop(self) -> "Import":
        """Ends it without a version."""
        self._take(await self._client.post(f"{self._path}/stop"))
        return self

    async def again(self) -> "Import":
        """Takes it up where it failed. Raises Conflict where it did not."""
        self._take(await self._client.post(f"{self._path}/again"))
        return self


class Datastore(DatastoreFacts, Bound):
    """A dataset, a model or a volume."""

    @property
    def _path(self) -> str:
        return asking.path("datastores", self.id)

    async def refresh(self) -> "Datastore":
        """Reads again how it is."""
        self._take(await self._client.get(self._path))
        return self

    async def rename(self, name: str) -> "Datastore":
        self._take(await self._client.patch(self._path, {"name": name}))
        return self

    async def describe(self, description: str) -> "Datastore":
        """Says in Markdown what it is."""
        self._take(await self._client.patch(self._path, {"description": description}))
        return self

    async def set_quota(self, quota: int) -> "Datastore":
        """Says how many bytes a volume may have."""
        self._take(await self._client.patch(self._path, {"quota": quota}))
        return self

    async def users(self) -> list[DatastoreUser]:
        """The jobs that have it now, which keep it from being removed."""
        return [DatastoreUser.model_validate(one) for one in await self._client.get(f"{self._path}/users")]

    async def remove(self) -> None:
        """Removes it with all its versions. Raises Conflict while it is in use, and says by what."""
        await self._client.delete(self._path)

    @property
    def versions(self) -> Versions:
        return Versions(self._client, self.id)

    async def plan(self, path: Here, *, on_progress: OnProgress | None = None) -> Plan:
        """What `push` would do with this folder. Nothing is sent."""
        reading = await pushing.read(Path(path), on_progress)
        entries = reading.entries()
        await self.refresh()
        if self.kind == VOLUME:
            changes = volumes.differences(await self.listing(), entries)
            return Plan(entries, changes, reading.folder.left_out)
        newest = await (await self.versions.get(self.latest.number)).manifest() if self.latest else []
        return Plan(entries, manifests.differences(newest, entries), reading.folder.left_out)

    async def push(self, path: Here, *, note: str = "", on_progress: OnProgress | None = None) -> Pushed:
        """Makes a new version of the files in a folder, or of one file; only what the server lacks is sent. Into a volume they are put in
        the stead of files that are there; others stay.

        Links, pipes and devices are left out; so is what `.mlteamignore` in the folder names, in the syntax of .gitignore. After an
        error the same push goes on where it was. Raises Changed for a file that is written to meanwhile, and BadPath.
        """
        reading = await pushing.read(Path(path), on_progress)
        work = pushing.Pushing(self._client, self._path, reading, on_progress, versioned=self.kind != VOLUME)
        told, is_new = await work.run(note)
        version = self.versions._told(told) if told else None
        return Pushed(version, is_new or told is None, work.files, work.bytes, reading.folder.left_out)

    async def push_from(self, address: str, *, key: str = "", unpack: bool = True, note: str = "") -> Import:
        """Has the server make a new version of what lies at an https://, s3:// or gs:// address; returns at once, see `Import.wait`.

        `key`: the name of the project's key that opens it. A single archive (tar, zip) is unpacked unless `unpack` is False.
        """
        sent = {"address": address, "key": key, "unpack": unpack, "note": note}
        return Import.told(self._client, await self._client.post(f"{self._path}/imports", sent))

    @property
    def imports(self) -> Listing[Import]:
        """What the server has fetched for it, or fetches; newest first."""
        return Listing(self._client, f"{self._path}/imports", Import)

    async def pull(
        self, to: Here = ".", *, version: str | int = "latest", path: str = "", on_progress: OnProgress | None = None
    ) -> Pulled:
        """Brings the files of a version, or those at `path` in it, below `to`; see `Version.pull`. Of a volume those that are there now:
        one of the same size and time is not fetched again."""
        if self.kind == VOLUME:
            work = bringing.Bringing(self._client, self._path, Path(to), on_progress)
            found = await self.listing(path)
            await work.run([one._replace(path=volumes.named(one.path)) for one in found])
            return Pulled(None, work.fetched, work.bytes, work.there, work.left_out)
        return await (await self.versions.get(version)).pull(to, path=path, on_progress=on_progress)

    async def compare(self, old: int, new: int, *, limit: int | None = None) -> Items[Change]:
        """What is different between two versions."""
        found = self._client.pages(f"{self._path}/compare", most=limit, old=old, new=new)
        return [Change.model_validate(one) async for one in found]

    # What is in a volume

    def content(self, path: str = "") -> Listing[Content]:
        """What is in a folder of a volume: `.list()`, `.each()`."""
        return _Contents(self._client, f"{self._path}/content", Content, volumes.remote(path or "."))

    async def listing(self, path: str = "") -> list[volumes.Found]:
        """All that is in a volume, or at `path` in it, by path. Raises NotFound."""
        wished = volumes.remote(path or ".")
        ask = Ask("GET", f"{self._path}/listing", {"path": wished or None}, headers={"Accept": "*/*"}, slow=True)
        try:
            return volumes.parse(await ranges.whole(self._client, ask, MOST_MANIFEST))
        except NotFound:
            if not wished or (file := await self._file(wished)) is None:
                raise
        return [file]

    async def _file(self, path: str) -> volumes.Found | None:
        """What is at a path that is no folder."""
        above, _, name = path.rpartition("/")
        async for one in self.content(above).each():
            if one.name == name:
                return volumes.found(path, one)
        return None

    async def read(self, path: str, *, offset: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of a file of a volume, in pieces."""
        address = f"{self._path}/files{asking.path(*volumes.remote(path).split('/'))}"
        async with aclosing(ranges.read(self._client, address, offset=offset, end=end)) as pieces:
            async for piece in pieces:
                yield piece

    async def archive(
        self, to: Here, *, path: str = "", format: str = "zip", on_progress: OnProgress | None = None
    ) -> Path:
        """Brings the files of a volume, or of the folder at `path`, as one archive: zip or tar. How large it will be is not known."""
        return await _archive(self._client, self._path, to, volumes.remote(path or "."), format, on_progress)

    async def remove_content(self, path: str) -> None:
        """Removes a file of a volume, or a folder with all that is in it; `.` is all content. That cannot be undone."""
        await self._client.delete(f"{self._path}/content", path_=volumes.remote(path) or ".")

    async def make_folder(self, path: str) -> None:
        """Makes a folder in a volume, with those above it."""
        await self._client.post(f"{self._path}/folders", {"path": volumes.remote(path)})


class Datastores(Collection[Datastore]):
    """The datasets, models and volumes that one may see. Filters: project, kind, name, q, mine."""

    def __init__(self, client: "MLTeam") -> None:
        super().__init__(client, "/datastores", Datastore)

    async def create(
        self,
        name: str,
        *,
        kind: str = "dataset",
        description: str = "",
        quota: int | None = None,
        address: str = "",
        key: str = "",
        unpack: bool = True,
        project: str | None = None,
    ) -> Datastore:
        """Makes a dataset, model or volume (`kind`) in the project in use, or in `project`, by id or name. `quota`: the bytes that a
        volume may have. `address`: from where the server fetches the first version (see `Datastore.push_from`), which is then in
        `imports`; where that cannot begin, nothing is made."""
        where = await self._client.project_named(project)
        data: dict[str, Any] = {"kind": kind, "name": name, "description": description}
        if quota is not None:
            data["quota"] = quota
        if address:
            data |= {"address": address, "key": key, "unpack": unpack}
        return self._told(await self._client.post(asking.path("projects", where, "datastores"), data))
