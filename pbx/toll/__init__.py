"""What calls out of this server may cost an account: limits, destinations, hours, and the lock when something is wrong.

`guard` is the machine, `destinations` reads patterns of numbers. Who may call out at all is `pbx.policy.relaying`'s.
"""
