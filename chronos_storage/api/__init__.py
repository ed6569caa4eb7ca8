"""The REST API: ``path("api/", include("chronos_storage.api.urls"))``. Needs the extra "rest"."""
