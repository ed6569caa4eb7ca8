"""YAML files that say where agents store: ``CHRONOS_STORAGE = load("agents.yaml")`` in the settings.

A file names a storage for all agents, and one of its own for each agent that has one::

    defaults:
      storage:
        backend: sqlite
        dsn: chronos.db
    agents:
      - id: production-agent
        storage:
          backend: postgres
          dsn: ${DATABASE_URL}

Instead of ``defaults``, a file may have one ``storage``. What else it holds is not read. The backend ``none`` keeps
nothing: its storage accepts every write, and finds nothing. A `Backend` of the project's own is named by its dotted
path; it is given the ``dsn``, if there is one.

Where embeddings are kept ``vectors`` says in the same way, by a backend (``sqlite``, ``postgres``, ``mysql``,
``qdrant``, ``milvus``, ``redis``, ``weaviate``, ``pinecone`` or the dotted path of a `VectorStore`) and a dsn.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

from .backends.handler import DEFAULT_ALIAS
from .dsn import MEMORY, REGION, file_path, shown
from .exceptions import ConfigurationError
from .facade import Storage
from .facade.stores import storages

_CONNECT = "chronos_storage.dsn.connect"
_CONNECT_VECTORS = "chronos_storage.vectors.addresses.connect_vectors"
_NONE = "chronos_storage.backends.none.NoBackend"
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
#: A host and a port, and after them perhaps a number.
_PLACE = re.compile(r"[^/@\s]+:[0-9]+(/[0-9]+)?")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
#: The dotted path of a backend's class or function.
_CUSTOM = re.compile(r"([A-Za-z_]\w*\.)+\w+")


def _address(*schemes: str) -> Callable[[str], str | None]:
    return lambda dsn: dsn if urlsplit(dsn).scheme in schemes else None


def _file(scheme: str) -> Callable[[str], str | None]:
    return lambda dsn: dsn if "://" not in dsn or urlsplit(dsn).scheme == scheme else None


def _redis(dsn: str) -> str | None:
    if "://" in dsn:
        return _address("redis", "rediss")(dsn)
    return f"redis://{dsn}" if _PLACE.fullmatch(dsn) else None


def _dynamo(dsn: str) -> str | None:
    if "://" in dsn:
        return _address("dynamodb")(dsn)
    region, _, table = dsn.partition("/")
    return f"dynamodb://{region}/{table or 'chronos'}" if REGION.fullmatch(region) else None


def _folder(dsn: str) -> str | None:
    return _address("file")(dsn) if "://" in dsn else file_path(dsn).as_uri()


def _name(dsn: str) -> str | None:
    return _address("memory")(dsn) if "://" in dsn else f"memory://{quote('' if dsn == MEMORY else dsn, safe='')}"


#: What makes an address for `connect` of each backend's ``dsn``, or None of what is none; and an example.
_BACKENDS: dict[str, tuple[Callable[[str], str | None], str]] = {
    "sqlite": (_file("sqlite"), "chronos.db"),
    "postgres": (_address("postgres", "postgresql"), "postgres://user:password@host:5432/name"),
    "mysql": (_address("mysql", "mariadb"), "mysql://user:password@host:3306/name"),
    "redis": (_redis, "redis://host:6379/0 or host:6379"),
    "mongo": (_address("mongodb", "mongodb+srv"), "mongodb://host:27017/name"),
    "dynamo": (_dynamo, "us-east-1/table or dynamodb://us-east-1/table"),
    "filesystem": (_folder, "data"),
    "memory": (_name, "a name"),
    "none": (lambda dsn: None, ""),
}
_WITHOUT_DSN = {"memory": "memory://", "none": ""}


def _engine(name: str, *schemes: str) -> Callable[[str], str | None]:
    """An engine's address under its own scheme, or a web server's, or a host and a port."""

    def read(dsn: str) -> str | None:
        if "://" not in dsn:
            return f"{name}://{dsn}" if _PLACE.fullmatch(dsn) else None
        scheme, _, rest = dsn.partition("://")
        return f"{name}+{scheme}://{rest}" if scheme in ("http", "https") else _address(name, *schemes)(dsn)

    return read


#: The same for `connect_vectors`.
_VECTORS: dict[str, tuple[Callable[[str], str | None], str]] = {
    **{name: _BACKENDS[name] for name in ("sqlite", "postgres", "mysql", "redis")},
    "pgvector": _BACKENDS["postgres"],
    "qdrant": (_engine("qdrant", "qdrant+http", "qdrant+https"), "http://host:6333"),
    "milvus": (_engine("milvus", "milvus+http", "milvus+https"), "http://host:19530"),
    "weaviate": (_engine("weaviate", "weaviate+http", "weaviate+https"), "http://host:8080"),
    "pinecone": (_address("pinecone", "pinecone+http", "pinecone+https"), "pinecone://:key@aws/us-east-1"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where someone stores.

    Attributes:
        backend: its name in the file.
        dsn: the address as `connect` takes it; empty for ``none``, and whatever a backend of the project's own takes.
    """

    backend: str
    dsn: str = field(repr=False)

    @property
    def shown(self) -> str:
        """Backend and address, without a password and what the address's query says."""
        return f"{self.backend} {shown(self.dsn)}".strip()

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry among ``STORAGES`` in the settings."""
        if _CUSTOM.fullmatch(self.backend):
            return {"BACKEND": self.backend, "OPTIONS": {"DSN": self.dsn} if self.dsn else {}}
        return {"BACKEND": _CONNECT, "OPTIONS": {"DSN": self.dsn}} if self.dsn else {"BACKEND": _NONE}

    @property
    def vectors_entry(self) -> dict[str, Any]:
        """Its entry among ``VECTOR_STORES`` in the settings."""
        return self.entry if _CUSTOM.fullmatch(self.backend) else {**self.entry, "BACKEND": _CONNECT_VECTORS}

    @property
    def missing_file(self) -> Path | None:
        """The SQLite file that is yet to be made, as it is when the address is first opened."""
        if self.backend != "sqlite" or self.dsn.endswith(MEMORY):
            return None
        name = unquote(urlsplit(self.dsn).path[1:]) if "://" in self.dsn else self.dsn
        return None if file_path(name).exists() else Path(name)


@dataclass(frozen=True, slots=True)
class Configured:
    """What a file says.

    Attributes:
        default: for all agents without a storage of their own; None where the file has none.
        agents: by id, None for those that have none of their own.
        vectors: of embeddings; None where the file has none.
    """

    default: Place | None
    agents: Mapping[str, Place | None]
    vectors: Place | None = None


def load(path: str | Path) -> dict[str, Any]:
    """The setting ``CHRONOS_STORAGE`` that a file describes.

    Raises:
        ConfigurationError: naming the file, the place in it, and what would be right.
    """
    found = read(path)
    entries = {} if found.default is None else {DEFAULT_ALIAS: found.default.entry}
    entries |= {_alias(agent_id): place.entry for agent_id, place in found.agents.items() if place}
    vectors = {} if found.vectors is None else {"VECTOR_STORES": {DEFAULT_ALIAS: found.vectors.vectors_entry}}
    return {"STORAGES": entries, **vectors}


def storage_for(agent_id: str) -> Storage:
    """The agent's own storage, where the setting has one, or the one for all others."""
    alias = _alias(agent_id)
    return storages[alias if alias in storages else DEFAULT_ALIAS]


def _alias(agent_id: str) -> str:
    return f"agent:{agent_id}"


def read(path: str | Path) -> Configured:
    """What a file says; raises as `load`."""
    file = _File(Path(path))
    document = file.object(file.parse(), "")
    defaults = file.object(document.get("defaults", {}), "defaults")
    if "storage" in document and "storage" in defaults:
        file.refuse("storage", "stands beside defaults.storage; keep one of them")
    default = None
    for section, where in ((defaults, "defaults.storage"), (document, "storage")):
        if "storage" in section:
            default = file.place(section["storage"], where)
    agents: dict[str, Place | None] = {}
    for number, entry in enumerate(file.list(document.get("agents", []), "agents")):
        where = f"agents[{number}]"
        agent = file.object(entry, where)
        agent_id = agent.get("id")
        if not isinstance(agent_id, str) or not agent_id:
            file.refuse(f"{where}.id", "must be the agent's id, a string")
        if agent_id in agents:
            file.refuse(f"{where}.id", f"stands for a second agent: {agent_id!r}")
        agents[agent_id] = file.place(agent["storage"], f"{where}.storage") if "storage" in agent else None
    vectors = document.get("vectors")
    return Configured(default, agents, None if vectors is None else file.place(vectors, "vectors", _VECTORS))


def _kind(value: Any) -> str:
    """What a value is, without the address that it may hold."""
    return "nothing" if value is None else f"a {type(value).__name__}"


class _File:
    """A file that is read, and what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refuse(self, where: str, problem: str) -> NoReturn:
        raise ConfigurationError(f"{self._path}: {where}: {problem}" if where else f"{self._path} {problem}")

    def parse(self) -> Any:
        try:
            import yaml
        except ImportError as error:
            raise ConfigurationError("YAML files need PyYAML: install chronos-storage[yaml]") from error
        try:
            return yaml.safe_load(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._path} can't be read: {error}") from error
        except yaml.MarkedYAMLError as error:  # which quotes the line, with the password that may be in it
            line = f"line {error.problem_mark.line + 1}, " if error.problem_mark else ""
            problem = "a tag that is not known" if "tag" in str(error.problem) else error.problem
            raise ConfigurationError(f"{self._path} is not YAML: {line}{problem}") from None
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{self._path} is not YAML: {error}") from error

    def object(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.refuse(where, f"must be a mapping, not {_kind(value)}")
        return value

    def list(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            self.refuse(where, f"must be a list, not {_kind(value)}")
        return value

    def place(self, value: Any, where: str, backends: Mapping[str, Any] = _BACKENDS) -> Place:
        """The place that a section names."""
        section = self.object(value, where)
        for key in section:
            if key not in ("backend", "dsn"):
                self.refuse(f"{where}.{key}", "is not known; there are a backend and a dsn")
        backend = self._text(section.get("backend"), f"{where}.backend")
        if _CUSTOM.fullmatch(backend):
            return Place(backend, self._text(section["dsn"], f"{where}.dsn") if section.get("dsn") else "")
        if backend not in backends:
            known = f"{', '.join(backends)} or a backend's dotted path"
            self.refuse(f"{where}.backend", f"must be one of {known}, not {shown(backend)!r}")
        if not section.get("dsn") and backend in _WITHOUT_DSN:
            return Place(backend, _WITHOUT_DSN[backend])
        dsn = self._text(section.get("dsn"), f"{where}.dsn")
        read, example = backends[backend]
        if not (address := read(dsn)):
            like = f"must be an address such as {example}" if example else "must be left out, as nothing is kept"
            self.refuse(f"{where}.dsn", f"{like}; the backend is {backend}")
        return Place(backend, address)

    def _text(self, value: Any, where: str) -> str:
        """A string with its variables filled in."""
        if not isinstance(value, str) or not value:
            self.refuse(where, "is missing" if value in (None, "") else f"must be a string, not {_kind(value)}")

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if not _NAME.fullmatch(name):
                self.refuse(where, f"has {match[0]}; a variable is written ${{NAME}}")
            if name not in os.environ:
                self.refuse(where, f"needs the environment variable {name}, which is not set")
            return os.environ[name]

        filled = _VARIABLE.sub(fill, value)
        if not filled:
            self.refuse(where, f"is empty, as {value} is")
        return filled
