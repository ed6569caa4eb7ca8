"""A host's routes: a view of its own, and the API below a path of its own."""

from __future__ import annotations

from django.urls import include, path
from rest_framework import generics, serializers

OPENAPI_3_0 = {"OAS_VERSION": "3.0.3"}
OPENAPI_3_1 = {"OAS_VERSION": "3.1.0"}


class _OwnSerializer(serializers.Serializer):
    name = serializers.CharField()


class _Own(generics.RetrieveAPIView):
    """A view of the host."""

    serializer_class = _OwnSerializer


urlpatterns = [
    path("own/<int:pk>", _Own.as_view()),
    path("agents/api/", include("chronos_storage.api.urls")),
]
