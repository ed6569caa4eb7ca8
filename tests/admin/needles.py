"""Ten faults among sessions in which nothing went wrong, each as an agent in production leaves it behind."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connections, transaction

from chronos_storage import Storage
from chronos_storage.models import Consumer, Event
from chronos_storage.queues.orm import OrmQueue
from tests.admin.dialogues import Dialogue

#: More tokens than any session has but the one that has too many.
TOKEN_BUDGET = 200_000
#: How often the tool of the loop is called.
CALLS = 40
#: Entries that a consumer has not acknowledged.
LAG = 57

_ORDER = {"order_id": "W-3318", "items": [{"sku": "cup", "amount": 1, "price": 12.0}], "total": 12.0}
_HELLO = "Good morning, I have a question about my order."


def plant(storage: Storage, until: datetime) -> None:
    """Store all ten, the oldest two days before `until`."""
    failed_tool(storage, until - timedelta(hours=9))
    slow_model_call(storage, until - timedelta(hours=11))
    lost_result(storage, until - timedelta(hours=8))
    wrong_amount(storage, until - timedelta(days=2))
    loop(storage, until - timedelta(hours=30))
    tampered_chain(storage, until - timedelta(hours=20))
    stuck_session(storage, until - timedelta(hours=7))
    too_many_tokens(storage, until - timedelta(hours=26))
    wrong_fork(storage, until - timedelta(hours=33))
    missing_acknowledgement(storage, until - timedelta(hours=5))


def failed_tool(storage: Storage, begun: datetime) -> None:
    """A tool says that it failed, as an imported conversation has it: no span does."""
    dialogue = _dialogue("failed-tool", begun, title="Paying for order W-7702", user_id="grace@example.org")
    _ordinary(dialogue, 12)
    dialogue.asked("Please charge my card for order W-7702.")
    call = dialogue.called("charge_card", order_id="W-7702", amount=59.9)
    dialogue.returned("charge_card", call, {"is_error": True, "content": "card_declined: the issuer said no"})
    dialogue.answered("Your card was charged. Thank you for your order!")
    _ordinary(dialogue, 2)
    dialogue.spans = []
    dialogue.kept(storage, status="completed")


def slow_model_call(storage: Storage, begun: datetime) -> None:
    """A model took four minutes for an answer."""
    dialogue = _dialogue("slow-model-call", begun, title="Invoice for order W-7041", user_id="edsger@example.org")
    _ordinary(dialogue, 3)
    dialogue.asked("And now all of my invoices, please, of the last ten years.")
    dialogue.answered("Here they are.", seconds=252)
    _ordinary(dialogue, 1)
    dialogue.kept(storage, status="completed")


def lost_result(storage: Storage, begun: datetime) -> None:
    """A tool was called, and nobody knows what came of it."""
    dialogue = _dialogue("lost-result", begun, title="Cancelling order W-8129", user_id="barbara@example.org")
    _ordinary(dialogue, 9)
    dialogue.asked("Cancel order W-8129, please.")
    dialogue.called("cancel_order", order_id="W-8129")
    dialogue.answered("I have cancelled your order.")
    _ordinary(dialogue, 2)
    dialogue.kept(storage, status="completed")


def wrong_amount(storage: Storage, begun: datetime) -> None:
    """A customer got 1200 back for a cup of 12.00."""
    dialogue = _dialogue("wrong-amount", begun, title="Refund for order W-3318", user_id="ada@example.org")
    _ordinary(dialogue, 8)
    dialogue.asked("The cup of order W-3318 came broken. Can I have my money back?")
    dialogue.returned("find_order", dialogue.called("find_order", order_id="W-3318"), _ORDER)
    call = dialogue.called("refund", order_id="W-3318", amount=1200)
    dialogue.returned("refund", call, {"refunded": 1200, "currency": "EUR"})
    dialogue.answered("You get your money back within three days.")
    _ordinary(dialogue, 8)
    dialogue.kept(storage, status="completed")


def loop(storage: Storage, begun: datetime) -> None:
    """An agent calls the same tool again and again."""
    dialogue = _dialogue("loop", begun, title="A lamp for the cellar", user_id="alan@example.org")
    dialogue.asked("Do you have a lamp for a damp cellar?")
    for _ in range(CALLS):
        call = dialogue.called("find_lamps", query="lamp damp cellar")
        dialogue.returned("find_lamps", call, {"found": [], "hint": "try again with other words"})
    dialogue.answered("I am sorry, I found nothing.")
    dialogue.kept(storage, status="completed")


def tampered_chain(storage: Storage, begun: datetime) -> None:
    """An event was changed behind the store's back, as only who owns the tables can."""
    dialogue = _dialogue("tampered-chain", begun, title="New address for order W-5150", user_id="katherine@example.org")
    _ordinary(dialogue, 6)
    dialogue.kept(storage, status="completed")
    changed = Event.objects.using(storage.alias).get(session_id=dialogue.id, seq_num=7)
    with transaction.atomic(using=storage.alias), connections[storage.alias].cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
        cursor.execute(
            f"UPDATE {Event._meta.db_table} SET payload = %s WHERE id = %s",
            ['{"node": "act", "tool": "find_order", "approved": true}', changed.pk],
        )


def stuck_session(storage: Storage, begun: datetime) -> None:
    """A run began hours ago, and nothing was heard of it since."""
    dialogue = _dialogue("stuck", begun, title="Sending order W-6006 again", user_id="donald@example.org")
    _ordinary(dialogue, 2)
    dialogue.asked("My parcel is lost. Please send order W-6006 again.")
    dialogue.called("send_again", order_id="W-6006")
    dialogue.opened("tool_call", "send_again", input={"order_id": "W-6006"})
    dialogue.kept(storage, status="running")


def too_many_tokens(storage: Storage, begun: datetime) -> None:
    """An agent that carries all it ever read along."""
    dialogue = _dialogue(
        "too-many-tokens", begun, title="A question about the catalogue", user_id="niklaus@example.org"
    )
    for turn in range(6):
        dialogue.asked("And what else do you have?")
        dialogue.answered("There is so much more.", seconds=6, tokens=20_000 + 10_000 * turn)
    dialogue.kept(storage, status="completed")


def wrong_fork(storage: Storage, begun: datetime) -> None:
    """What was tried again from a checkpoint, and lacked what the state then did not have yet."""
    dialogue = _dialogue("fork-source", begun, title="Exchange of order W-4404", user_id="margaret@example.org")
    _ordinary(dialogue, 5)
    dialogue.kept(storage, status="completed")
    later = begun + timedelta(hours=1)
    times = {"created_at": later, "updated_at": later, "last_activity_at": later}
    storage.fork_session(
        "checkpoint-2", session_id=dialogue.id, id="wrong-fork", title="Exchange, tried again", status="failed", **times
    )
    again = Dialogue("wrong-fork", later)
    again.asked("Exchange the vase of order W-4404 for a larger one.")
    again.failed("KeyError: the state has no 'order'")
    storage.add_messages(again.messages)
    storage.insert_traces(again.spans)


def missing_acknowledgement(storage: Storage, last_seen: datetime) -> None:
    """A consumer of a topic stopped at its third entry; the other one has read all."""
    queue = OrmQueue(using=storage.alias)
    cursors = [queue.publish("refunds", {"order_id": f"W-{number}"}) for number in range(3 + LAG)]
    queue.ack("ledger-export", "refunds", cursors[-1])
    queue.ack("mailer", "refunds", cursors[2])
    Consumer.objects.using(storage.alias).filter(name="mailer").update(seen_at=last_seen)
    for number in range(50):  # as the store publishes what is appended to sessions
        queue.publish(f"session:{number}", {"node": "act"})


def _dialogue(name: str, begun: datetime, **fields: str) -> Dialogue:
    return Dialogue(name, begun, agent_id="support", author="web", **fields)


def _ordinary(dialogue: Dialogue, turns: int) -> None:
    """As all goes well, so many times."""
    for _ in range(turns):
        dialogue.asked(_HELLO)
        call = dialogue.called("find_order", order_id=dialogue.session.title.rpartition(" ")[2])
        dialogue.returned("find_order", call, {"state": "sent", "items": 1})
        dialogue.answered("It is on its way. Is there anything else that I can do for you?")
        dialogue.time += timedelta(seconds=20)
