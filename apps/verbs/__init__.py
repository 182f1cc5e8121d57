"""The built-ins that need a host, by subject. Each module has a tuple `VERBS`; `apps.roster` gathers them."""
