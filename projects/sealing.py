"""The secret values of third-party keys, as they lie in the database: encrypted and authenticated (MultiFernet).

The secrets that encrypt them are files of `var/secrets`. The newest seals; older ones only open, until nothing needs them. What is
sealed says whose it is: a row of the database that is copied over another opens nothing.
"""

import base64
import hashlib
import json
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mlteam import state
from projects.errors import Impossible

SECRETS: Final = "third-party-keys"
UNREADABLE: Final = (
    "This key cannot be read: the files third-party-keys.* in var/secrets are not those that it was saved with. "
    "Put them back from a backup, or replace the key."
)

Values = dict[str, str]  # field -> value


def seal(values: Values, owner: str) -> tuple[str, int]:
    """The values as text that only this installation reads, and the number of the secret that encrypts it. `owner`: whose id."""
    secrets = state.numbered_secrets(SECRETS)
    newest = max(secrets)
    said = json.dumps({"of": owner, "values": values})
    return _cipher(secrets[newest]).encrypt(said.encode()).decode(), newest


def unseal(sealed: str, owner: str) -> Values:
    """The values again. Raises Impossible when the secrets have gone, or when the text is not this owner's."""
    ciphers = [_cipher(secret) for _, secret in sorted(state.numbered_secrets(SECRETS).items(), reverse=True)]
    try:
        said = json.loads(MultiFernet(ciphers).decrypt(sealed.encode()))
    except InvalidToken:
        raise Impossible(UNREADABLE) from None
    if said["of"] != owner:
        raise Impossible(UNREADABLE)
    values: Values = said["values"]
    return values


def _cipher(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))
