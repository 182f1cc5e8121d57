"""Values and their textual form: what settings, records and CG/PL programs hold.

`kinds` has the types, `text` the textual form, `xml` the form of elements.
"""

from base.values.kinds import (
    FUTURE,
    NUMBER_MAX,
    NUMBER_MIN,
    PAST,
    Dictionary,
    Handle,
    NetAddress,
    TimeStamp,
    Value,
    XmlElement,
    copy_value,
    equal,
    from_octets,
    octet_length,
    octets,
    wrap,
)
from base.values.text import ForeignHandle, ValueTextError, format_value, parse_value, quote
from base.values.xml import XmlError, format_xml, parse_xml

__all__ = [
    "FUTURE",
    "NUMBER_MAX",
    "NUMBER_MIN",
    "PAST",
    "Dictionary",
    "ForeignHandle",
    "Handle",
    "NetAddress",
    "TimeStamp",
    "Value",
    "ValueTextError",
    "XmlElement",
    "XmlError",
    "copy_value",
    "equal",
    "format_value",
    "format_xml",
    "from_octets",
    "octet_length",
    "octets",
    "parse_value",
    "parse_xml",
    "quote",
    "wrap",
]
