"""The Router: the administrator's table that says where addresses lead before anybody looks up a name.

`pattern` is what stands on the left of a record and how the matched text comes out on the right, `record` one line,
`table` all of them, `lint` what a careful colleague would say of them. Pure: who exists is known to
`directory.resolver`, which asks the table. Follows CommuniGate's Router (spec: cgp-server §3; the guide, section V.C).
"""
