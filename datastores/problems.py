"""What went wrong with data, as programs are told: whoever answers them imports this."""

from typing import Final

from api import problems
from api.problems import NOTHING, Problem, invalid
from compute import changing, trees
from datastores import blobs, contents, deltas, errors, uploads
from datastores.manifests import BadManifest
from datastores.paths import BadPath
from datastores.shown import show_use

LOST = "The content of {} is no longer in the store, or damaged there. Push a folder that has it again, or ask who runs the server."


def _damaged(error: uploads.Damaged) -> Problem:
    found = [{"field": sha256, "message": "is not what was sent"} for sha256 in error.hashes]
    return Problem(422, "damaged", str(error), errors=found, received=0)


def _in_use(error: errors.InUse) -> Problem:
    return Problem(409, "in_use", str(error), users=[show_use(one, error.by) for one in error.users])


_READINGS: Final = {
    BadManifest: lambda error: invalid([("manifest", str(error))]),
    BadPath: lambda error: invalid([("path", str(error))]),
    errors.Unfit: lambda error: invalid([(error.field, str(error))]),
    errors.InUse: _in_use,
    errors.Incomplete: lambda error: Problem(409, "incomplete", str(error), missing_blobs=error.missing),
    deltas.OtherBase: lambda error: Problem(409, "other_base", str(error)),
    errors.TooMuch: lambda error: Problem(409, "quota", str(error)),
    changing.InTheWay: lambda error: Problem(409, "conflict", str(error)),
    trees.NotThere: lambda error: Problem(404, "not_found", NOTHING),
    uploads.BadPack: lambda error: invalid([("pack", str(error))]),
    uploads.NotWanted: lambda error: invalid([("sha256", "is none that this upload lacks")]),
    uploads.Damaged: _damaged,
    uploads.Gap: lambda error: Problem(409, "gap", str(error), received=error.received),
    blobs.Full: lambda error: Problem(507, "full", str(error)),
    blobs.Missing: lambda error: Problem(410, "lost", LOST.format("this")),
    contents.Lost: lambda error: Problem(410, "lost", LOST.format(f"“{error}”")),
    blobs.Unavailable: lambda error: Problem(503, "store_away", f"{error} Try again in a while."),
}
for _kind, _reading in _READINGS.items():
    problems.register(_kind, _reading)
