"""The REST API: ``path("api/", include("chronos_storage.api.urls"))``. Needs the extra "rest"."""

from ..extras import require

require("the REST API", "rest_framework", "django_filters", "drf_spectacular")
