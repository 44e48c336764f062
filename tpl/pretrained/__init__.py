"""Networks that come with the package, and what they know of their own doubt."""

from tpl.pretrained.files import NetworksError, check_networks, has_networks, packaged_categories

__all__ = ["NetworksError", "check_networks", "has_networks", "packaged_categories"]
