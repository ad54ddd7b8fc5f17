"""What datastores.transfer takes, for the document that describes the API: it is answered before the operations of that."""

from typing import Any, Final

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_BYTES: Final = {"application/octet-stream": _BINARY}
_NUMBER: Final = {"type": "integer"}
_RECEIVED: Final = {"type": "object", "title": "Received", "properties": {"received": _NUMBER}}
_BEGUN: Final = {
    "type": "object",
    "title": "Begun",
    "properties": {
        "id": {"type": "string"},
        **dict.fromkeys(("files", "bytes", "missing", "missing_bytes"), _NUMBER),
        "lacks": {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "properties": {"sha256": {"type": "string"}, "size": _NUMBER, "received": _NUMBER},
            },
        },
    },
}


def _of(name: str, about: str, path: list[str], status: int, answer: dict[str, Any], *more: dict[str, Any]) -> Any:
    """An operation as OpenAPI has it; `path` names what is in braces, `more` are parameters."""
    named = [{"in": "path", "name": one, "required": True, "schema": {"type": "string"}} for one in path]
    return {
        "operationId": f"datastores_{name}",
        "summary": name.replace("_", " ").capitalize(),
        "description": about,
        "tags": ["data"],
        "parameters": [*named, *more],
        "requestBody": {"required": True, "content": _BYTES},
        "responses": {status: {"description": "", "content": {"application/json": {"schema": answer}}}},
        "security": [{"Token": []}, {"Browser": []}],
    }


def paths(root: str) -> dict[str, Any]:
    """Address -> method -> operation; `root` is what all addresses begin with."""
    begin = _of(
        "begin_upload",
        "Begins an upload to a dataset, model or volume, or goes on with the same one that was begun before: the body is the manifest, "
        "gzipped perhaps "
        '(Content-Encoding), with a line of JSON for each file in any order: `{"path", "sha256", "size", "mode"}`, mode 420 or 493. '
        "The answer says how much the server lacks, and of up to 500 blobs which (`lacks`, else null). Of a dataset or model the body may "
        "have only what is different from the latest version, whose digest is its `base` then: lines for files that are new or not as they "
        'were, and for each that is gone `{"path", "removed": true}`. Where another version is the latest by now, that is refused '
        "(`other_base`).",
        ["datastore"],
        201,
        _BEGUN,
        {
            "in": "query",
            "name": "base",
            "required": False,
            "description": "the digest of the latest version",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
    )
    changes = _of(
        "send_changes",
        "Makes a version that differs little from the latest one, in one request: what an upload with a `base`, a pack and a commit do in "
        "three. The body, gzipped perhaps (Content-Encoding) and at most 9 MiB without, is a line of JSON, "
        '`{"base": DIGEST, "note": TEXT}`; the lines that are different, as an upload with a `base` has them; an empty line; and a pack of '
        "the contents of these files, also of those that the server may have. Where the lines change nothing, the latest version is "
        "answered, with 200. Refused where another version is the latest by now (`other_base`), or the pack has not all that lacks "
        "(`incomplete`); of what is refused nothing is left.",
        ["datastore"],
        201,
        {"$ref": "#/components/schemas/VersionOut"},
    )
    pack = _of(
        "send_pack",
        "Sends many small files at once, at most 8 MiB: of each its SHA-256 (32 bytes), its size (8 bytes, big-endian) and its content. "
        "All are kept or, where one is not what its hash says, none.",
        ["upload"],
        200,
        _RECEIVED,
    )
    offset = {
        "in": "query",
        "name": "offset",
        "required": False,
        "description": "the byte at which the piece begins",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "default": 0},
    }
    piece = _of(
        "send_piece",
        "Sends a piece of a large file, at most 16 MiB. The answer says how many bytes of it are here; a piece that begins after them is "
        "refused with the same (`gap`). When the last byte is here, all are compared with the hash.",
        ["upload", "sha256"],
        200,
        _RECEIVED,
        offset,
    )
    return {
        f"{root}/datastores/{{datastore}}/uploads": {"post": begin},
        f"{root}/datastores/{{datastore}}/changes": {"post": changes},
        f"{root}/uploads/{{upload}}/pack": {"put": pack},
        f"{root}/uploads/{{upload}}/blobs/{{sha256}}": {"put": piece},
    }
