"""Trunks: lines of a provider or a gateway, by which calls leave and enter this server.

`model` is what the administrator says of one, `credentials` answers its challenges, `registration` and `health` are
machines that keep it up, `explain` puts the carrier's answers into words. Devices and their settings are in `gateways`.
"""
