"""Third-party keys, as they open an address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from datastores.remote.addresses import Address
from datastores.remote.errors import Refused
from projects import sealing
from projects.models import ThirdPartyKey

OPENS: Final[Mapping[str, tuple[str, ...]]] = {"s3": ("aws", "wasabi"), "gs": ("gcp",)}  # scheme -> types of keys


@dataclass(frozen=True, slots=True)
class Key:
    """A key's name, its type, and its values by field, secret and other."""

    name: str
    type: str
    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, key: ThirdPartyKey) -> "Key":
        """Raises Impossible where it cannot be read any more."""
        return cls(key.name, key.type, sealing.unseal(key.sealed, key.pk) | key.about)


def check_fits(address: Address, key_type: str | None, *, write: bool = False) -> None:
    """Whether a key of this type opens the address, or none (None). Without a key, public buckets can be read. Raises Refused."""
    types = OPENS.get(address.scheme, ())
    if write and not types:
        raise Refused("Nothing can be written to an https:// address: to gs:// or s3:// it can.")
    if key_type is None:
        if write:
            raise Refused(f"To write to {address.shown} a key is needed, of the type {' or '.join(types)}.")
    elif not types:
        raise Refused("What is at an https:// address is fetched without a key. Leave it out.")
    elif key_type not in types:
        raise Refused(f"A key of the type {key_type} does not open {address.scheme}://: {' or '.join(types)} does.")
