"""Look-ups that say where a number leads before a call can go there: ENUM, and somebody's own program.

`enum_rules` is what the records of ENUM mean, `lookups` asks DNS and the program. The Router leads numbers here by the
domains `ZONE.enum` and `external` (spec: cgp-server, further facts; the guide, section III.B.1).
"""
