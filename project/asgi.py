"""The site as an ASGI application: ``uvicorn project.asgi:application``."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# One process serves the admin's stylesheets too, with DEBUG off as well. A site with many visitors has them served by
# its web server, after `collectstatic`.
application = ASGIStaticFilesHandler(get_asgi_application())
