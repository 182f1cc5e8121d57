"""Reads messages without ever rewriting them: fields, addresses, MIME structure, as offsets into the octets."""
