"""The interfaces of other systems (AgentOS, AgentX, Ago) over the same storage.

Each is a translation, with no table and no state of its own: what one writes, the others, the facade and the admin
show. Names have Python's spelling; the systems' own stands in the JSON that they exchange, which `to_json` and
`from_json` of their records write and read.
"""
