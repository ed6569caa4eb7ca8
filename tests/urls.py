"""The admin and the API, where the tests look for them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("api/", include("chronos_storage.api.urls"))]
