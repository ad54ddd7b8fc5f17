"""What reads from an address, and what writes to one."""

from datastores.remote.addresses import Address, BadAddress
from datastores.remote.errors import Refused
from datastores.remote.keys import Key, check_fits
from datastores.remote.sources import Source, Target


def address_of(text: str) -> Address:
    """Raises Refused for what is none."""
    try:
        return Address.of(text)
    except BadAddress as error:
        raise Refused(str(error)) from None


def open_source(text: str, key: Key | None = None) -> Source:
    """What reads from this address. Nothing is asked yet. Raises Refused."""
    address = address_of(text)
    check_fits(address, key.type if key else None)
    if address.scheme == "s3":
        from datastores.remote.s3 import S3Source

        return S3Source(address, key)
    if address.scheme == "gs":
        from datastores.remote.gcs import GCSSource

        return GCSSource(address, key)
    from datastores.remote.web import WebSource

    return WebSource(address)


def open_target(text: str, key: Key) -> Target:
    """What writes to this address. Nothing is asked yet. Raises Refused."""
    address = address_of(text)
    check_fits(address, key.type, write=True)
    if address.scheme == "s3":
        from datastores.remote.s3 import S3Target

        return S3Target(address, key)
    from datastores.remote.gcs import GCSTarget

    return GCSTarget(address, key)
