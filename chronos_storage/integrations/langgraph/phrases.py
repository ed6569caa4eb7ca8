"""Bytes as columns hold them: what LangGraph's serializer writes again and again is two bytes there.

The names of the fields of a message of LangChain's are often longer than what it says. Bytes that were shortened one by
one and then put together are expanded in one go, and any bytes come back as they were.
"""

from __future__ import annotations

#: It begins what stands for something else: msgpack has no such type, and UTF-8 no such byte.
_MARK = b"\xc1"
_KWARGS = b"\xb1additional_kwargs\x80\xb1response_metadata"
_VALIDATED = b"\xb3model_validate_json"
#: Each by the number that stands for it, from 1 on; 0 stands for the mark itself. More may be put at the end, but none
#: may be changed. What is in another comes after it. None begins with a byte that is the number of another.
_PHRASES = (
    b"\x94\xbalangchain_core.messages.ai\xa9AIMessage\x89\xa7content",
    b"\x94\xbdlangchain_core.messages.human\xacHumanMessage\x86\xa7content",
    b"\x94\xbclangchain_core.messages.tool\xabToolMessage\x89\xa7content",
    b"\x94\xbelangchain_core.messages.system\xadSystemMessage\x86\xa7content",
    _KWARGS + b"\x80\xa4type\xa2ai\xa4name\xc0\xa2id",
    _KWARGS + b"\x80\xa4type\xa5human\xa4name\xc0\xa2id",
    _KWARGS + b"\x80\xa4type\xa4tool\xa4name",
    _KWARGS,
    b"\xa4type\xa2ai\xa4name\xc0\xa2id",
    b"\xaatool_calls\x90\xb2invalid_tool_calls\x90\xaeusage_metadata\xc0" + _VALIDATED,
    b"\xaatool_calls\x90\xb2invalid_tool_calls\x90\xaeusage_metadata",
    b"\xb2invalid_tool_calls\x90\xaeusage_metadata\xc0" + _VALIDATED,
    b"\xb2invalid_tool_calls\x90\xaeusage_metadata",
    b"\xa8artifact\xc0\xa6status\xa7success" + _VALIDATED,
    _VALIDATED,
    b"\xa4type\xa9tool_call",
    b"\xactool_call_id",
    b"\xaatool_calls",
    b"\xacinput_tokens",
    b"\xadoutput_tokens",
    b"\xactotal_tokens",
    b"\xb3input_token_details",
    b"\xb4output_token_details",
    b"\xaacache_read",
    b"\xaecache_creation",
    b"\xa9reasoning",
    b"\xabtoken_usage",
    b"\xb1completion_tokens",
    b"\xadprompt_tokens",
    b"\xaamodel_name",
    b"\xaemodel_provider",
    b"\xb2system_fingerprint",
    b"\xadfinish_reason",
    b"\xacservice_tier",
    b"\xa8logprobs",
    b"\xb0channel_versions",
    b"\xadversions_seen\x80",
    b"\xadversions_seen",
    b"\xb0updated_channels",
    b"\xaechannel_values\x80",
    b"\xaechannel_values",
    b"\xa9__input__\x80",
    b"\xa9__start__",
    b"\xa8messages",
    b"branch:to:",
)
_MARKED = [(phrase, _MARK + bytes([number])) for number, phrase in enumerate(_PHRASES, 1)]
_BY_NUMBER = (_MARK, *_PHRASES)


def shortened(content: bytes) -> bytes:
    """The bytes as a column is to hold them."""
    content = content.replace(_MARK, _MARK + b"\0")
    for phrase, mark in _MARKED:
        content = content.replace(phrase, mark)
    return content


def expanded(kept: bytes | memoryview) -> bytes:
    """What a column's bytes were made of, or those of many columns, one behind the other."""
    first, *others = bytes(kept).split(_MARK)
    parts = [first]
    for each in others:
        parts += _BY_NUMBER[each[0]], each[1:]
    return b"".join(parts)
