"""Devices at the edge: gateways and telephones, their profiles and how they set themselves up. Not lines of providers:
`pbx.trunk`."""
