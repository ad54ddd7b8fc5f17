"""A dataset on a loopback server that can lie, break off and lose things as a test wishes: in the words of the API, and small."""

import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.sdk.loopback import Asked, Says

ID = "ddddddddddddddd2"
UPLOAD = "uuuuuuuuuuuuuuu2"
FACTS = {"id": ID, "name": "digits", "kind": "dataset", "urn": f"acme:project:x:dataset:{ID}", "latest": None}


class Depot:
    """Keeps what it is sent. `fault` is asked first; what it answers is said instead."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.partial: dict[str, bytes] = {}
        self.versions: list[bytes] = []
        self.changed: list[dict[str, Any]] = []  # how the changes began that came in one request
        self.begun: list[tuple[bytes, str]] = []  # what uploads began with: lines, and the base
        self.named = 0  # contents that lack: up to so many are named when an upload begins
        self.manifest = b""
        self.put: list[tuple[str, int, int]] = []  # pack or checksum, offset, bytes
        self.fault: Callable[[Asked], Says | None] = lambda asked: None

    def __call__(self, asked: Asked) -> Says:
        return self.fault(asked) or self.answer(asked)

    def answer(self, asked: Asked) -> Says:
        parts = asked.path.removeprefix("/api/v1/").split("/")
        match asked.method, parts:
            case "GET", ["datastores", _]:
                return Says(data={**FACTS, "latest": self._version(len(self.versions)) if self.versions else None})
            case "POST", ["datastores", _, "uploads"]:
                return self._begin(gzip.decompress(asked.body), dict(asked.query).get("base", ""))
            case "POST", ["datastores", _, "changes"]:
                return self._changes(gzip.decompress(asked.body))
            case "GET", ["uploads", _, "missing"]:
                return Says(body=b"".join(json.dumps(one).encode() + b"\n" for one in self.missing()))
            case "PUT", ["uploads", _, "pack"]:
                return self._pack(asked.body)
            case "PUT", ["uploads", _, "blobs", sha256]:
                return self._piece(sha256, int(dict(asked.query)["offset"]), asked.body)
            case "POST", ["uploads", _, "commit"]:
                return self._commit()
            case "DELETE", ["uploads", _]:
                self.manifest = b""
                return Says(204)
            case "GET", ["datastores", _, "versions", number]:
                return Says(data=self._version(len(self.versions) if number == "latest" else int(number)))
            case "GET", ["datastores", _, "versions", number, "manifest"]:
                return Says(body=self.versions[int(number) - 1])
            case "POST", ["datastores", _, "versions", number, "pack"]:
                return Says(body=b"".join(self._record(self._at(number, path)) for path in asked.data["paths"]))
            case "GET", ["datastores", _, "versions", number, "files", *path]:
                return self._file(asked, self._at(number, "/".join(path)))
        return Says(404, {"code": "not_found", "detail": f"There is nothing at {asked.path}."})

    def holds(self, files: dict[str, bytes]) -> None:
        """One more version, of these files."""
        self.blobs |= {_hash(data): data for data in files.values()}
        self.lists([{"path": path, "sha256": _hash(data), "size": len(data)} for path, data in files.items()])

    def lists(self, entries: list[dict[str, Any]]) -> None:
        """One more version, that says so of itself."""
        ordered = sorted(entries, key=lambda one: str(one["path"]).encode())
        lines = [json.dumps({"mode": 420, **one}, ensure_ascii=False).encode() + b"\n" for one in ordered]
        self.versions.append(b"".join(lines))

    def _begin(self, lines: bytes, base: str) -> Says:
        self.begun.append((lines, base))
        self.manifest = lines
        if base:
            latest = self.versions[-1] if self.versions else b""
            if _hash(latest) != base:
                return Says(409, {"code": "other_base", "detail": "Another version is the latest."})
            said = [json.loads(line) for line in lines.splitlines()]
            kept = {json.loads(line)["path"]: line for line in latest.splitlines(keepends=True)}
            for one, line in zip(said, lines.splitlines(keepends=True), strict=True):
                kept[one["path"]] = b"" if "removed" in one else line
            self.manifest = b"".join(kept[path] for path in sorted(kept, key=str.encode))
        return Says(201, self._upload())

    def _changes(self, body: bytes) -> Says:
        text, _, pack = body.partition(b"\n\n")
        head, _, lines = text.partition(b"\n")
        self.changed.append(json.loads(head))
        begun = self._begin(lines and lines + b"\n", json.loads(head)["base"])
        kept = dict(self.blobs)
        packed = self._pack(pack) if begun.status == 201 else begun
        said = self._commit() if packed.status == 200 else packed
        self.blobs = kept if said.status >= 400 else self.blobs
        return said

    def missing(self) -> list[dict[str, Any]]:
        wanted = {one["sha256"]: one["size"] for one in map(json.loads, self.manifest.splitlines())}
        return [
            {"sha256": sha256, "size": size, "received": len(self.partial.get(sha256, b""))}
            for sha256, size in wanted.items()
            if sha256 not in self.blobs
        ]

    def _upload(self) -> dict[str, Any]:
        lacking = self.missing()
        lacks = lacking if len(lacking) <= self.named else None
        size = sum(one["size"] for one in lacking)
        return {"id": UPLOAD, "missing": len(lacking), "missing_bytes": size, "lacks": lacks}

    def _version(self, number: int) -> dict[str, Any]:
        return {"number": number, "digest": _hash(self.versions[number - 1])}

    def _pack(self, body: bytes) -> Says:
        self.put.append(("pack", 0, len(body)))
        while body:
            sha256, size = body[:32].hex(), int.from_bytes(body[32:40], "big")
            if _hash(body[40 : 40 + size]) != sha256:
                return Says(422, {"code": "damaged", "detail": "A file arrived damaged."})
            self.blobs[sha256], body = body[40 : 40 + size], body[40 + size :]
        return Says(data={"received": len(self.blobs)})

    def _piece(self, sha256: str, offset: int, body: bytes) -> Says:
        self.put.append((sha256, offset, len(body)))
        held = self.partial.get(sha256, b"")
        if offset != len(held):
            return Says(409, {"code": "gap", "detail": "Go on from there.", "received": len(held)})
        self.partial[sha256] = held + body
        [size] = [one["size"] for one in self.missing() if one["sha256"] == sha256]
        if len(self.partial[sha256]) == size:
            whole = self.partial.pop(sha256)
            if _hash(whole) != sha256:
                return Says(422, {"code": "damaged", "detail": "A file arrived damaged."})
            self.blobs[sha256] = whole
            return Says(data={"received": size})
        return Says(data={"received": len(self.partial[sha256])})

    def _commit(self) -> Says:
        if self.missing():
            return Says(409, {"code": "incomplete", "detail": "Files are missing."})
        if self.versions and self.versions[-1] == self.manifest:
            return Says(data=self._version(len(self.versions)))
        self.versions.append(self.manifest)
        return Says(201, self._version(len(self.versions)))

    def _at(self, number: str, path: str) -> bytes:
        entries = map(json.loads, self.versions[int(number) - 1].splitlines())
        return next(self.blobs[one["sha256"]] for one in entries if one["path"] == path)

    def _file(self, asked: Asked, data: bytes) -> Says:
        begin, _, last = asked.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(begin) : int(last) + 1 if last else None]
        said = f"bytes {begin}-{int(begin) + len(part) - 1}/{len(data)}"
        return Says(206, body=part, headers={"ETag": '"1"', "Content-Range": said})

    @staticmethod
    def _record(data: bytes) -> bytes:
        return bytes.fromhex(_hash(data)) + len(data).to_bytes(8, "big") + data


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
