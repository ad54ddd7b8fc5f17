"""What addresses in a job's spec hide from all who may see it: what follows a question mark may be a secret, as in a presigned address.

Who submitted the job may repeat it with what was hidden: a clone sends the addresses as they were shown, and they become whole again.
"""

from collections.abc import Callable
from typing import Final

from datastores.remote.addresses import Address
from jobs.models import Job
from jobs.spec import Spec, SpecErrors

HIDDEN: Final = "?…"


def shown(spec: Spec) -> Spec:
    """The spec for people and programs."""
    return _with(spec, lambda _, address: _shown(address))


def _shown(address: str) -> str:
    return Address.of(address).shown if "?" in address and not Address.of(address).in_bucket else address


def whole(spec: Spec, cloned_from: Job | None, *, mine: bool) -> Spec:
    """The spec with the addresses that it has of a cloned job, if that is one's own. Raises SpecErrors for those that stay hidden."""
    before = Spec.model_validate(cloned_from.spec).input if cloned_from and mine else []
    wrong = []

    def find(number: int, address: str) -> str:
        if not address.endswith(HIDDEN):
            return address
        here = [one.source for one in before[number : number + 1] if _shown(one.source) == address]
        found = here or list({one.source for one in before if _shown(one.source) == address})
        if len(found) != 1:
            said = "what follows the question mark is not shown, as it may be a secret: write the whole address"
            wrong.append((f"input.{number}.from", said))
            return address
        return found[0]

    made = _with(spec, find)
    if wrong:
        raise SpecErrors(wrong)
    return made


def _with(spec: Spec, change: Callable[[int, str], str]) -> Spec:
    inputs = [one.model_copy(update={"source": change(number, one.source)}) for number, one in enumerate(spec.input)]
    return spec.model_copy(update={"input": inputs}) if inputs else spec
