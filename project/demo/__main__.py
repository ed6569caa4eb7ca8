"""``python -m project.demo``: migrate, run the agent, and serve the admin to look at what it kept."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
from functools import partial
from importlib import import_module
from threading import Event

import django
import uvicorn
from django.core.management import CommandError, call_command
from django.urls import reverse

from chronos_storage import storage

from .agent import Agent, Stopped, open_session
from .frameworks import installed
from .questions import QUESTIONS

say = partial(print, flush=True)

_FRAMEWORK = (
    "run the agent under this one (make frameworks); Claude's SDK is none of them,"
    " as it is a program of its own that asks the model, which no script stands in for"
)


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m project.demo", description=__doc__)
    parser.add_argument("--again", action="store_true", help="ask all questions in a new session")
    parser.add_argument("--no-serve", action="store_true", help="stop once the questions are answered")
    parser.add_argument("--framework", choices=installed(), help=_FRAMEWORK)
    parser.add_argument("--port", type=int, default=8000, help="the first port to try (default: %(default)s)")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    stop = stop_on_interrupt()
    try:
        django.setup()
        session_id = answer_questions(stop, again=options.again, framework=options.framework)
        if not options.no_serve:
            serve(stop, session_id, options.port)
    except (Stopped, KeyboardInterrupt):
        say("\nStopped. Run it again, and it goes on from its latest checkpoint.")
        return 128 + signal.SIGINT
    except CommandError as error:  # from migrate, which says what to do
        print(error, file=sys.stderr)
        return 1
    return 0


def stop_on_interrupt() -> Event:
    """What the first Ctrl-C sets; the second one interrupts as usual.

    What is under way is finished first: cut off in the middle of a statement, not every database driver can be used
    again, and not every database takes back one half of a migration.
    """
    stop = Event()

    def interrupted(*signal_and_frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, interrupted)
    return stop


def answer_questions(stop: Event, *, again: bool, framework: str | None) -> str:
    """Bring the database up to date and let the agent do what is left to do; returns its session's id."""
    say("Migrating the database …")
    call_command("migrate", verbosity=0)
    if framework:
        module = import_module(f".frameworks.{framework}", __package__)
        session_id: str = module.answer_questions(storage, stop, say, again=again)
        say(f"Session {session_id} has all {len(QUESTIONS)} answers: {storage.count_messages(session_id)} messages.")
        return session_id
    session = open_session(storage, again=again)
    if session.status == "completed":
        say(f"Session {session.id}: all {len(QUESTIONS)} questions are answered. --again asks them in a new one.")
        return session.id
    last = storage.get_latest_checkpoint(session.id)
    say(f"Session {session.id} goes on after step {last.id}." if last else f"Session {session.id} begins.")
    with storage.session(session.id) as handle:
        Agent(handle, stop, say).run()
    say(
        f"Session {session.id} is completed: {storage.count_messages(session.id)} messages, "
        f"{storage.count_events(session.id)} events, chain "
        f"{'intact' if storage.verify_events(session.id).intact else 'BROKEN'}."
    )
    storage.close()
    return session.id


def serve(stop: Event, session_id: str, first_port: int) -> None:
    """Serve the site on this machine alone until Ctrl-C, having said where to look."""
    listener = listen(first_port)
    site = f"http://127.0.0.1:{listener.getsockname()[1]}"
    password = renew_admin()
    say(f"\nThe admin:    {site}{reverse('admin:app_list', args=['chronos_storage'])}")
    say(f"              user admin, password {password}")
    say(f"The session:  {site}{reverse('admin:chronos_storage_session_change', args=[session_id])}")
    for table in ("message", "event", "trace", "checkpoint"):
        say(f"              {site}{reverse(f'admin:chronos_storage_{table}_changelist')}?q={session_id}")
    say(f"The API:      {site}{reverse('chronos_storage_api:root')} and {site}{reverse('api-docs')}")
    stream = reverse("chronos_storage_api:event-stream", args=[session_id])
    say(f"Its events:   {site}{stream}?after=0")
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    say(f"              {python} manage.py chronos_tail {session_id} --after 0")
    say("Ctrl-C stops the server.\n")
    config = uvicorn.Config(
        "project.asgi:application", lifespan="off", log_level="warning", timeout_graceful_shutdown=5
    )
    if not stop.is_set():
        uvicorn.Server(config).run(sockets=[listener])
    say("Stopped.")


def listen(first_port: int) -> socket.socket:
    """A socket that listens on the first free port from `first_port` on."""
    for port in range(first_port, first_port + 100):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            refusal = error
    raise SystemExit(f"No port from {first_port} to {port} is free: {refusal}")


def renew_admin() -> str:
    """Make the user ``admin``, or give it a new password; returns the password."""
    from django.contrib.auth.models import User

    password = secrets.token_urlsafe(12)
    admin, _ = User.objects.get_or_create(username="admin")
    admin.is_active = admin.is_staff = admin.is_superuser = True
    admin.set_password(password)
    admin.save()
    return password


if __name__ == "__main__":
    sys.exit(main())
