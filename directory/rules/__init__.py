"""Rules of calls: what happens to a call of an account, when, and by whose word.

`occasion` is one call as rules see it, `conditions` and `rule` read CommuniGate's stored form, `control` turns an
account's simple settings into rules, `order` puts those of server, domain and account into their order. Pure: the
result are `directory.model.CallRule`s, which the Signal carries out. Spec: pbx-apps §10, §11.
"""
