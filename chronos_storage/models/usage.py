from __future__ import annotations

from django.db import models


class TokenCounts(models.Model):
    """The tokens a model reported, a column each, so that the database can add them up."""

    prompt_tokens: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True, blank=True)
    completion_tokens: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True, blank=True)
    total_tokens: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True, blank=True)
    cache_read_tokens: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True, blank=True)
    cache_creation_tokens: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, blank=True
    )

    class Meta:
        abstract = True
