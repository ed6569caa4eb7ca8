"""What all views of the API have in common. None of it depends on the project's defaults for DRF, but how users sign in
and how often they may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.settings import api_settings

from ..exceptions import NotFound
from ..ledger.pages import LITTLE, before_much
from ..sending import let_go
from . import problems, turns
from .access import AccessRule, Verb, access_for
from .compat import http_request
from .etags import add_etag
from .fences import HEADER as FENCE
from .fences import fence_of
from .idempotency import REPLAYED
from .ids import SEGMENTS, address, read_address
from .json_media import JSONParser, JSONRenderer, require_length
from .schema import ApiSchema
from .scopes import check_scopes
from .throttling import Throttle, failures_counted


class Permission(BasePermission):
    """Asks the access rule, and scopes, whether this may be done to rows of the view's model at all."""

    def has_permission(self, request: Request, view: Any) -> bool:
        access: AccessRule = view.access
        if not access.signed_in:
            return False
        needed = view.needed()
        check_scopes(request.auth, needed)
        return all(access.may(verb, model) for verb, model in needed)


class _JSONRequest(Request):
    """A request whose body is parsed when it is its turn.

    Django's check for forgery asks for a form's field first, before anybody is signed in, and there are no forms.
    """

    @property
    def POST(self) -> Any:  # type: ignore[override]  # noqa: N802 - Django's name
        return QueryDict()


class ApiMixin(GenericAPIView[Any]):
    """Closed to who isn't signed in; JSON in and out; ids decoded; errors as problem details."""

    renderer_classes: Any = (JSONRenderer, BrowsableAPIRenderer)
    parser_classes: Any = (JSONParser,)
    permission_classes: Any = (Permission,)
    content_negotiation_class: Any = DefaultContentNegotiation
    metadata_class: Any = None
    versioning_class: Any = None
    pagination_class: Any = None
    filter_backends: Any = ()
    schema: Any = ApiSchema()
    http_method_names: Any = ("get", "post", "put", "patch", "delete", "head")
    #: The names of the parameters that a query may have.
    parameters: Any = ()
    #: The name of a record's field that its address ends with, and of its route, which the router gives.
    named_by = "id"
    basename: Any = None
    #: The actions to which a writer may show its fence's token, and those that need one.
    fenced_actions: Any = ()
    needs_fence: Any = ()
    #: The token that this writer shows; None without one.
    writer_token: int | None = None
    #: Whether the request creates what an earlier one with its key has created.
    replayed = False
    #: The version of the record that is answered, where records have versions.
    version = ""
    _took_turn = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._turn:
            with before_much(self.take_turn):
                response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
            if self._took_turn and isinstance(response, Response):
                read = int(request.META.get("CONTENT_LENGTH") or 0)
                rendered: Any = response
                response = rendered.render()
                # They and the serializers refer to one another, and would keep what was read.
                rendered.data = rendered.renderer_context = None
                vars(self.request).clear()
                vars(self).clear()
                turns.REQUESTS.collect(read + len(rendered.content))
        return response

    def take_turn(self) -> None:
        """Wait until the request may take much memory, once; it has its turn until its answer is written.

        Raises:
            Busy: it would wait for too long.
        """
        if not self._took_turn:
            self._turn.enter_context(turns.REQUESTS.turn(turns.PATIENCE))
            self._took_turn = True

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        made = super().initialize_request(request, *args, **kwargs)
        made.__class__ = _JSONRequest  # DRF names its own class
        return made

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        http = http_request(request)
        require_length(http)  # first, as signing in may look for a token in the body
        super().initial(request, *args, **kwargs)
        if self.reads_whole() and int(http.META.get("CONTENT_LENGTH") or 0) > LITTLE:
            self.take_turn()
        for name in request.query_params.keys() - {api_settings.URL_FORMAT_OVERRIDE}:
            known = next((known for known in self.query_parameters() if fnmatchcase(name, known)), None)
            if known is None:
                raise ValidationError({name: f"is no parameter here; {self._parameters_there()}"})
            if known == name and len(request.query_params.getlist(name)) > 1:
                raise ValidationError({name: "is given more than once"})
        if "HTTP_IF_MATCH" in http.META and not (request.method in ("GET", "HEAD") or self.compares()):
            raise ValidationError({"If-Match": "is compared with nothing here: leave it out"})
        if request.method not in ("GET", "HEAD") and (token := fence_of(request)) is not None:
            if getattr(self, "action", None) not in self.fenced_actions:
                raise ValidationError({FENCE: "is compared with nothing here: leave it out"})
            self.writer_token = token
        for name in SEGMENTS & kwargs.keys():
            decoded = read_address(kwargs[name])
            if decoded is None:
                raise NotFound(f"{kwargs[name]!r} is no address of an id")
            self.kwargs[name] = decoded

    def perform_authentication(self, request: Request) -> None:
        with failures_counted(request, self):
            super().perform_authentication(request)

    def query_parameters(self) -> Iterable[str]:
        """The names of the parameters that the query may have, each perhaps with a * for whatever there is."""
        return self.parameters  # type: ignore[no-any-return]

    def _parameters_there(self) -> str:
        names = sorted(self.query_parameters())
        return f"there are {', '.join(names)}" if names else "there are none"

    def needed(self) -> list[tuple[Verb, Any]]:
        """What the user must be allowed to do, and with which models' rows."""
        return []

    @property
    def access(self) -> AccessRule:
        """The rule for the user of this request."""
        kept: dict[str, Any] = vars(self.request)  # to ask the framework's for what it hasn't takes longer
        if "chronos_access" not in kept:
            kept["chronos_access"] = access_for(self.request.user)
        known: AccessRule = kept["chronos_access"]
        return known

    @property
    def throttle_scope(self) -> str:
        return "chronos_read" if self.request.method in ("GET", "HEAD") else "chronos_write"

    @cached_property
    def throttle(self) -> Throttle:
        """What counts this request."""
        return Throttle()

    def get_throttles(self) -> list[Any]:
        return [self.throttle]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Vary": "Accept, Authorization, Cookie"}

    def get_authenticate_header(self, request: Request) -> str:
        # Without one DRF would answer 403; session authentication has none.
        for authenticator in self.get_authenticators():
            if header := authenticator.authenticate_header(request):
                return header
        return "Session"

    def sent_whole(self) -> bool:
        """Whether what is read here is answered at once, and so has an ETag, not while it is read."""
        return True

    def reads_whole(self) -> bool:
        """Whether a body is read at once, and so takes memory, not in pieces."""
        return True

    def compares(self) -> bool:
        """Whether what is written here is compared with what If-Match names."""
        return False

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return problems.handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.replayed and response.status_code == 201:
            response[REPLAYED] = "true"
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if isinstance(response, Response) and response.accepted_renderer.format == "json":
            if response.exception:
                response.content_type = problems.MEDIA_TYPE
            elif self.version or request.method in ("GET", "HEAD"):
                response.add_post_render_callback(partial(add_etag, http_request(request), self.version))
        if isinstance(response, Response):
            response.add_post_render_callback(partial(let_go, http_request(request)))
        return response

    def validated(self, serializer: type[serializers.Serializer[Any]] | None = None, **options: Any) -> Any:
        """What the body says, checked by a serializer: the view's own unless another is named."""
        checked = (serializer or self.get_serializer_class())(
            data=self.body(), context=self.get_serializer_context(), **options
        )
        checked.is_valid(raise_exception=True)
        return checked.validated_data

    def body(self) -> Any:
        """The body as JSON.

        Raises:
            ParseError: there is none, or it is not JSON.
        """
        data = self.request.data  # which is empty without a body, too
        if not int(self.request.META.get("CONTENT_LENGTH") or 0):
            raise ParseError("a JSON body is needed: send at least {}")
        return data

    def answer(self, record: Any, status: int = 200) -> Response:
        """A response with one record, which if it was created says where it is."""
        response = Response(self.written(record), status=status)
        if status == 201:
            response["Location"] = self.address_of(record)
        return response

    def written(self, record: Any) -> Any:
        """A record as it is answered."""
        return self.get_serializer(record).data

    def address_of(self, record: Any) -> str:
        """Where one record of the view's is."""
        if getattr(self, "action", "") == "create":  # below the list, whose address is the request's own
            request = http_request(self.request)
            return request.build_absolute_uri(f"{request.path}/{address(getattr(record, self.named_by))}")
        match = self.request.resolver_match
        assert match is not None
        parts = {**self.kwargs, "id": getattr(record, self.named_by)}
        path = {name: address(part) if name in SEGMENTS else part for name, part in parts.items()}
        return reverse(f"{match.namespace}:{self.basename}-detail", kwargs=path, request=self.request)


def check_sessions(access: AccessRule, *ids: str) -> None:
    """Raise `NotFound` if one of these sessions isn't there for the user."""
    if missing := access.missing(ids):
        raise NotFound(f"there is no session {', '.join(map(repr, missing))}")
