"""API keys for agents, an app of its own: add it to ``INSTALLED_APPS``. Needs the extra "keys"."""

from ...extras import require

require("API keys", "rest_framework_api_key")
