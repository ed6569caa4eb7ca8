"""The event queue: publish, subscribe, acknowledge, recover."""
