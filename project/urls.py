"""The admin, which is also the front page, and the REST API with its documentation."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="chronos_storage_api:schema"), name="api-docs"),
    path("api/", include("chronos_storage.api.urls")),
    path("api-auth/", include("rest_framework.urls")),
]
