"""The API's front page, its OpenAPI document, and what lies below its paths but isn't there."""

from __future__ import annotations

from typing import Any

from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from ..exceptions import NotFound
from .schema import SETTINGS
from .views import ApiMixin


class Root(ApiMixin):
    """Where the lists are.

    Attributes:
        lists: the name of each list's route, by what it lists.
    """

    lists: dict[str, str] = {}  # noqa: RUF012 - as_view() asks for a plain attribute
    schema = None

    def get(self, request: Request, **kwargs: Any) -> Response:
        match = request.resolver_match
        assert match is not None
        return Response(
            {
                name: reverse(f"{match.namespace}:{route}", kwargs=kwargs, request=request)
                for name, route in self.lists.items()
            }
        )


class SchemaView(ApiMixin, SpectacularAPIView):
    """The OpenAPI document of what is mounted here."""

    renderer_classes: Any = (OpenApiJsonRenderer2,)
    parameters = ("lang",)
    urlconf: Any = "chronos_storage.api.urls"
    custom_settings: Any = SETTINGS
    schema = None
    throttle_scope = "chronos_export"  # it is made anew each time, from all views


class Unknown(ApiMixin):
    """Answers below the API's own paths as the API does, not as the rest of the site would."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        APIView.initial(self, request, *args, **kwargs)
        raise NotFound("there is nothing at this address")

    def get(self, request: Request, **kwargs: Any) -> Response:
        raise NotFound

    post = put = patch = delete = get
