"""What an operator decides about webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from core.network import is_public


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAccess:
    """Beside the internet, only these networks may be called. The time is in seconds, for one call."""

    networks: Sequence[IPv4Network | IPv6Network] = ()
    timeout: float = 5.0

    def allows(self, text: str) -> bool:
        """Whether an address may be called."""
        address = ip_address(text.partition("%")[0])
        return is_public(address) or any(address in network for network in self.networks)
