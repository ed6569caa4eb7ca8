"""Pictures, sounds and files, which each provider has in a form of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3"}
_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
#: By the endings of addresses: the same on every machine, unlike what `mimetypes` knows.
_ENDINGS = {
    **{name: f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "bmp", "heic", "heif", "tiff")},
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "txt": "text/plain",
    "csv": "text/csv",
}
_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


class Medium(NamedTuple):
    """What is in a part, as Base64, or where it is.

    Attributes:
        mime_type: empty if it isn't known.
    """

    mime_type: str
    data: str
    url: str


def medium_of(part: dict[str, Any]) -> Medium | None:
    """The picture, the sound or the file that a part is, in whichever form; None if it is none, or an empty one."""
    medium = _medium_of(part)
    return medium if medium and (medium.data or medium.url) else None


def _medium_of(part: dict[str, Any]) -> Medium | None:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)} | {
            "type": "input_image",
            "image_url": str(url),
        }:
            return _at(url, "image/")
        case {"type": "file", "file": {"file_data": str(url)}} | {"type": "input_file", "file_data": str(url)}:
            return _at(url, "")
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(name)}}:
            return Medium(_TYPES.get(name, f"audio/{name}"), data, "")
        case {
            "type": "image" | "document",
            "source": {"type": "base64", "media_type": str(mime_type), "data": str(data)},
        }:
            return Medium(mime_type, data, "")
        case {"type": "image" | "audio", "mimeType": str(mime_type), "data": str(data)}:  # MCP's
            return Medium(mime_type, data, "")
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return _at(url, "image/")
        case {"type": "document", "source": {"type": "url", "url": str(url)}}:
            return _at(url, "application/pdf")
    match part.get("inlineData") or part.get("inline_data") or part.get("fileData") or part.get("file_data"):
        case {"data": str(data), **rest}:
            return Medium(_mime_type(rest), data, "")
        case {"fileUri": str(url), **rest} | {"file_uri": str(url), **rest}:
            return Medium(_mime_type(rest), "", url)
    return None


def to_openai(medium: Medium) -> dict[str, Any] | None:
    """The part of a user's message; None where a model takes no such thing."""
    url = medium.url or f"data:{medium.mime_type};base64,{medium.data}"
    if medium.mime_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if medium.mime_type == "application/pdf" and medium.data:
        return {"type": "file", "file": {"filename": "file.pdf", "file_data": url}}
    if medium.mime_type in _FORMATS and medium.data:
        return {"type": "input_audio", "input_audio": {"data": medium.data, "format": _FORMATS[medium.mime_type]}}
    return None


def to_anthropic(medium: Medium) -> dict[str, Any] | None:
    """The block of a user's message; None where a model takes no such thing."""
    is_picture = medium.mime_type in _PICTURES or (medium.mime_type.startswith("image/") and medium.url)
    if not is_picture and medium.mime_type != "application/pdf":
        return None
    source = (
        {"type": "url", "url": medium.url}
        if medium.url
        else {"type": "base64", "media_type": medium.mime_type, "data": medium.data}
    )
    return {"type": "image" if is_picture else "document", "source": source}


def to_gemini(medium: Medium) -> dict[str, Any] | None:
    """The part of a content; None where a model takes no such thing."""
    if not medium.mime_type:
        return None
    mime_type = "image/jpeg" if medium.mime_type == "image/" else medium.mime_type
    if medium.url:
        return {"fileData": {"mimeType": mime_type, "fileUri": medium.url}}
    return {"inlineData": {"mimeType": mime_type, "data": medium.data}}


def _at(url: str, kind: str) -> Medium:
    """What is at an address, which may hold it itself; of this kind, where nothing says more."""
    if url.startswith("data:") and ";base64," in url:
        mime_type, data = url[5:].split(";base64,", 1)
        return Medium(mime_type.split(";")[0], data, "")
    guessed = _ENDINGS.get(url.rpartition(".")[2].lower(), "")
    return Medium(guessed if guessed.startswith(kind) else kind, "", url)


def _mime_type(fields: dict[Any, Any]) -> str:
    found = fields.get("mimeType") or fields.get("mime_type")
    return found if isinstance(found, str) else ""
