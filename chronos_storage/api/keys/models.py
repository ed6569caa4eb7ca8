"""API keys, of which only a hash is stored."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.query import QuerySet
from django.utils.translation import gettext_lazy as _

from ...exceptions import InvalidRecord
from ...extras import require_app
from ..scopes import SCOPES, Scoped

require_app("chronos_storage.api.keys")
require_app("rest_framework_api_key")

from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager


class ApiKeyManager(APIKeyManager):
    """Makes keys: ``create_key(owner=…, name=…, scopes=[…], expiry_date=None)`` returns the row and the key itself.

    The key is nowhere afterwards but with its holder.
    """

    def get_usable_keys(self) -> QuerySet[Any]:
        keys: QuerySet[Any] = super().get_usable_keys()
        return keys.select_related("owner")


class ApiKey(Scoped, AbstractAPIKey):
    """What an agent signs in with as its owner, for these scopes and no more.

    It is refused once it is revoked or has expired, and when its owner is not active; with its owner it is deleted.
    """

    owner: models.ForeignKey[Any, Any] = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chronos_keys"
    )
    scopes: models.JSONField[list[str], list[str]] = models.JSONField(default=list)

    objects = ApiKeyManager()  # type: ignore[misc, unused-ignore]  # whichever way the stubs take the inherited one

    class Meta(AbstractAPIKey.Meta):
        db_table = "chronos_keys_api_key"
        verbose_name: ClassVar[Any] = _("API key")
        verbose_name_plural: ClassVar[Any] = _("API keys")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row.

        Raises:
            InvalidRecord: scopes isn't a list of `SCOPES`.
        """
        given: Any = self.scopes
        if not isinstance(given, list) or any(scope not in SCOPES for scope in given):
            raise InvalidRecord("scopes", f"must be a list of some of {', '.join(SCOPES)}")
        super().save(*args, **kwargs)
