"""A server that offers one owner's memory, past conversations and documents to clients of the Model Context Protocol.

Whose they are is said where the server is made, and by no argument of a tool: what a model writes there finds nothing
of anybody else's.
"""

from .tools import server

__all__ = ["server"]
