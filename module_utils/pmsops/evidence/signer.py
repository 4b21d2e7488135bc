# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The key that signs the next line of a ledger, or why none does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible.module_utils.pmsops.evidence import signatures

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    """A private key; without one the *code* and text of the error that kept it away."""

    key: Ed25519PrivateKey | None = None
    code: str | None = None
    why: str = ""

    def excuse(self) -> dict[str, str | None] | None:
        """Return why lines are not signed, None where they are."""
        return None if self.key else {"code": self.code, "why": self.why}

    def required(self) -> Ed25519PrivateKey:
        """Return the key, which the caller knows to be there."""
        if self.key is None:
            raise ValueError(self.why)
        return self.key

    def signed(self, body: bytes, successor: Signer | None = None) -> bytes:
        """Return the line of *body*, signed by this key and by the one that follows it."""
        signature: dict[str, object] = dict(signatures.sign(body, self.required()))
        if successor:
            signature["successor"] = signatures.sign(body, successor.required())
        return signatures.join(body, signature)
