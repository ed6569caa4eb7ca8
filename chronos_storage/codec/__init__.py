"""What may be stored: strings, numbers, times and JSON, checked and written the same way for every backend.

Every check here names the offending field in the `InvalidRecord` it raises; `storable` refuses nothing.
"""

from __future__ import annotations

from .foreign import error_text as error_text
from .limits import COST_PLACES as COST_PLACES
from .limits import MAX_CONDITIONS as MAX_CONDITIONS
from .limits import MAX_COST as MAX_COST
from .limits import MAX_DEPTH as MAX_DEPTH
from .limits import MAX_DURATION as MAX_DURATION
from .limits import MAX_INDEXED as MAX_INDEXED
from .limits import MAX_INTEGER as MAX_INTEGER
from .limits import MAX_JSON_BYTES as MAX_JSON_BYTES
from .limits import MAX_RECORD_BYTES as MAX_RECORD_BYTES
from .limits import MAX_STATE_BYTES as MAX_STATE_BYTES
from .limits import MAX_TEXT as MAX_TEXT
from .limits import MAX_TOKENS as MAX_TOKENS
from .limits import MAX_TOPIC as MAX_TOPIC
from .limits import MAX_WITH_TEXTS_BYTES as MAX_WITH_TEXTS_BYTES
from .limits import MAX_WORDS as MAX_WORDS
from .limits import MIN_INTEGER as MIN_INTEGER
from .limits import MIN_TIME as MIN_TIME
from .mending import Storable as Storable
from .mending import storable as storable
from .scalars import boolean as boolean
from .scalars import cost as cost
from .scalars import duration as duration
from .scalars import integer as integer
from .scalars import plain_decimal as plain_decimal
from .scalars import scrub as scrub
from .scalars import string as string
from .scalars import strings as strings
from .scalars import timestamp as timestamp
from .texts import bytes_of as bytes_of
from .texts import canonical as canonical
from .texts import dumps as dumps
from .texts import encode as encode
from .texts import loads as loads
from .texts import loads_each as loads_each
from .texts import quoted as quoted
from .values import filterable_object as filterable_object
from .values import json_list as json_list
from .values import json_list_or_none as json_list_or_none
from .values import json_object as json_object
from .values import json_value as json_value
