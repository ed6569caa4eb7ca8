"""The admin, whose page of what agents stored is also the front page, and the REST API with its documentation."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:app_list"), {"app_label": "chronos_storage"}),
    path("admin/", admin.site.urls),
    # before the API, which answers for all that lies below it; drf-spectacular's page fails where it is asked OPTIONS
    path(
        "api/docs", require_safe(SpectacularSwaggerView.as_view(url_name="chronos_storage_api:schema")), name="api-docs"
    ),
    path("api/", include("chronos_storage.api.urls")),
    path("api-auth/", include("rest_framework.urls")),
]
