"""Jobs, and what can be done with them."""

import hashlib
import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from mlteam_sdk import asking, specs
from mlteam_sdk.aio import driver, logs, ranges
from mlteam_sdk.aio.artifacts import Artifacts
from mlteam_sdk.aio.things import Bound, Collection, Items
from mlteam_sdk.asking import Ask
from mlteam_sdk.checking import CheckedLog, problems_of
from mlteam_sdk.errors import MLTeamError, NotFound, WaitedInVain
from mlteam_sdk.logparts import Lines, Piece, State, log_path
from mlteam_sdk.models import Check, JobFacts, Match, Move
from mlteam_sdk.specs import Command, Wish

if TYPE_CHECKING:
    from mlteam_sdk.aio.client import MLTeam

Paths = Iterable[str | os.PathLike[str]]


class Job(JobFacts, Bound):
    """A job. Its fields are as they were when it was read; `refresh` reads them again."""

    async def refresh(self) -> "Job":
        """Reads again how it is."""
        self._take(await self._client.get(self._path))
        return self

    @property
    def _path(self) -> str:
        return asking.path("jobs", self.id)

    async def wait(self, timeout: float | None = None) -> "Job":
        """Returns when it has ended. Raises WaitedInVain after `timeout` seconds; the job goes on."""
        until = None if timeout is None else time.monotonic() + timeout
        wait = logs.SHORTEST
        while not (await self.refresh()).done:
            left = wait if until is None else until - time.monotonic()
            if left <= 0:
                raise WaitedInVain(f"{self.name} ({self.id}) is still {self.state} after {timeout:g} s.")
            await driver.sleep(min(wait, left))
            wait = min(logs.LONGEST, wait * 1.5)
        return self

    async def stop(self) -> "Job":
        """Asks it to stop; `wait` tells when it has."""
        self._take(await self._client.post(f"{self._path}/stop"))
        return self

    async def store(self) -> "Job":
        """Stores its output again, where it failed only because that could not be stored; then it succeeds. Raises Conflict otherwise."""
        self._take(await self._client.post(f"{self._path}/store"))
        return self

    async def remove(self) -> None:
        """Removes it with its logs and artifacts. It must have ended."""
        await self._client.delete(self._path)

    async def clone(self, *, files: Paths = (), keep_files: Iterable[str] | None = None, **changes: Any) -> "Job":
        """A new job like it, but for the changes (as in `jobs.create`); it has the same files, or those in `keep_files`."""
        if not self.spec:
            await self.refresh()
        kept = self.files if keep_files is None else list(keep_files)
        return await self._client.jobs.create(
            files=files, spec=self.spec, clone=self.id, keep_files=kept, **{"project": self.project.id, **changes}
        )

    async def history(self) -> list[Move]:
        """Every change of its state, the first first."""
        found = await self._client.get(f"{self._path}/history")
        return [Move.model_validate(one) for one in found["items"]]

    # What it writes

    async def logs(
        self, *, follow: bool = False, attempt: int | None = None, tail: int | None = None
    ) -> AsyncGenerator[str, None]:
        """The lines that it wrote; with `follow` all that it will write too, through restarts, until it has ended.

        Without `attempt` they are those of all attempts. `tail`: begin so many lines before the end of the newest attempt.
        """
        offset = 0
        if tail is not None:
            attempt, offset, lines = await self._last(tail, attempt)
            if not follow:
                for line in lines:
                    yield line
                return
        if follow:
            async with aclosing(logs.lines(self._client, self.id, attempt=attempt, offset=offset)) as following:
                async for line in following:
                    yield line
        else:
            for index in await self._indexes(attempt):
                made = Lines()
                async with aclosing(self.log_bytes(index)) as pieces:
                    async for piece in pieces:
                        for line in made.feed(piece):
                            yield line
                for line in made.rest():
                    yield line

    async def _last(self, count: int, attempt: int | None) -> tuple[int | None, int, Items[str]]:
        """Of the last lines of an attempt (the newest): its index, the byte at which they begin, and they themselves."""
        index = await self._newest() if attempt is None else attempt
        if index is None:
            return None, 0, []
        made = Lines()
        ask = Ask("GET", log_path(self.id, index), {"tail": count}, headers={"Accept": "*/*"})
        response = await self._client.response(ask)
        return index, int(response.headers.get("X-Log-Offset", 0)), [*made.feed(response.content), *made.rest()]

    async def log_bytes(
        self, attempt: int | None = None, *, offset: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an attempt's log (the newest's), in pieces; those between two offsets."""
        index = await self._newest() if attempt is None else attempt
        if index is not None:
            path = log_path(self.id, index)
            async with aclosing(ranges.read(self._client, path, offset=offset, end=end, grows=True)) as pieces:
                async for piece in pieces:
                    yield piece

    async def follow(self, *, attempt: int | None = None, offset: int = 0) -> AsyncGenerator[Piece | State, None]:
        """Bytes as they are written, and changes of state, for programs that show both."""
        async with aclosing(logs.follow(self._client, self.id, attempt=attempt, offset=offset)) as said:
            async for one in said:
                yield one

    async def search(self, text: str, *, attempt: int | None = None) -> AsyncGenerator[Match, None]:
        """The lines of an attempt's log (the newest's) that hold the text, in order; capitals count where it has some."""
        index, begin, done = await self._newest() if attempt is None else attempt, 0, False
        while index is not None and not done:
            found = await self._client.get(log_path(self.id, index, "search"), q=text, from_=begin)
            for one in found["matches"]:
                yield Match.model_validate(one)
            done, begin = found["done"] or found["next"] <= begin, found["next"]

    async def verify(self) -> list[CheckedLog]:
        """Reads the logs of all attempts and compares them with what the server says: size, lines, checksum."""
        said = await self._client.get(f"{self._path}/verify")
        return [await self._verified(one) for one in said["attempts"]]

    async def _verified(self, said: Mapping[str, Any]) -> CheckedLog:
        digest, size, lines = hashlib.sha256(), 0, 0
        async with aclosing(self.log_bytes(said["index"], end=said.get("size"))) as pieces:
            async for piece in pieces:
                digest.update(piece)
                size, lines = size + len(piece), lines + piece.count(b"\n")
        found = CheckedLog(said["index"], size, lines, digest.hexdigest())
        found.problems += problems_of(said, found)
        return found

    async def _newest(self) -> int | None:
        indexes = await self._indexes(None)
        return indexes[-1] if indexes else None

    async def _indexes(self, attempt: int | None) -> list[int]:
        if attempt is not None:
            return [attempt]
        known = await self._client.get(self._path, fields="attempts")
        return sorted(one["index"] for one in known["attempts"])

    @property
    def artifacts(self) -> Artifacts:
        """The files that it left."""
        return Artifacts(self._client, self.id)


class Jobs(Collection[Job]):
    """The jobs that one may see."""

    def __init__(self, client: "MLTeam") -> None:
        super().__init__(client, "/jobs", Job)

    async def each(
        self, *, limit: int | None = None, everywhere: bool = False, **filters: Any
    ) -> AsyncGenerator[Job, None]:
        """The jobs of the project in use (of `project`, or `everywhere`), newest first.

        Filters: mine, user, state (one or a list), tag, name, q, sort.
        """
        if not everywhere:
            filters["project"] = await self._client.project_named(filters.get("project"))
        async for job in super().each(limit=limit, **filters):
            yield job

    async def last(self, **filters: Any) -> Job:
        """The newest of them. Raises NotFound."""
        found = await self.list(limit=1, **filters)
        if not found:
            raise NotFound(404, {"code": "not_found", "detail": "There is no such job yet."})
        return await found[0].refresh()

    async def create(
        self,
        *,
        name: str | None = None,
        command: Command | None = None,
        files: Paths = (),
        spec: Mapping[str, Any] | None = None,
        spec_file: str | os.PathLike[str] | None = None,
        project: str | None = None,
        clone: str | None = None,
        keep_files: Iterable[str] | None = None,
        idempotency_key: str | None = None,
        **changes: Any,
    ) -> Job:
        """Submits a job and returns it.

        `spec` or `spec_file` (a job.yml) says what it is; arguments are put over it: cpu (cores), mem (GiB), gpu, packages, env,
        tags, and any key of job.yml. `files` are uploaded into its directory. It is submitted once however often it has to be sent;
        with an `idempotency_key` of one's own also by a program that is started again.
        """
        wish = _wished(spec, spec_file)
        data = specs.merged(wish.spec, name=name, command=command, **changes)
        where = await self._client.project_named(project or wish.project)
        body: dict[str, Any] = {"spec": data}
        if clone is not None:
            body |= {"clone": clone, "keep_files": Items(keep_files or ())}
        uploads = specs.uploads([*wish.files, *files])
        path = asking.path("projects", where, "jobs")
        if uploads:
            form = {**body, "spec": asking.json_text(data)}
            made = await self._client.post(
                f"{path}/with-files", form=form, files=uploads, idempotency_key=idempotency_key
            )
        else:
            made = await self._client.post(path, body, idempotency_key=idempotency_key)
        return Job.told(self._client, made)

    async def check(
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        spec_file: str | os.PathLike[str] | None = None,
        project: str | None = None,
        clone: str | None = None,
        **changes: Any,
    ) -> Check:
        """What `create` would submit, without doing it. Raises Invalid with all that is wrong."""
        wish = _wished(spec, spec_file)
        where = await self._client.project_named(project or wish.project)
        data = specs.merged(wish.spec, **changes)
        body = {"spec": data} if clone is None else {"spec": data, "clone": clone}
        return Check.model_validate(await self._client.post(asking.path("projects", where, "jobs", "check"), body))


def _wished(spec: Mapping[str, Any] | None, spec_file: str | os.PathLike[str] | None) -> Wish:
    if spec is not None and spec_file is not None:
        raise MLTeamError("Give spec or spec_file, not both.")
    if spec_file is not None:
        return specs.read(spec_file)
    return specs.of(spec or {})
