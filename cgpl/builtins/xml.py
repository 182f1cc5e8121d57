"""Built-ins for XML objects."""

from __future__ import annotations

from base.values import Value, XmlElement
from cgpl.builtins.arguments import a_string, an_element, flag
from cgpl.builtins.table import Builtin
from cgpl.runtime import Task


def is_xml(_: Task, value: Value) -> Value:
    return flag(isinstance(value, XmlElement))


def new_xml(_: Task, kind: Value, prefix: Value = None, namespace: Value = None) -> Value:
    element = XmlElement(a_string(kind, "the type"), _text(prefix))
    if isinstance(namespace, str):
        element.namespaces[element.prefix] = namespace
    return element


def set_namespace(_: Task, target: Value, namespace: Value, prefix: Value = None) -> Value:
    element = an_element(target)
    if namespace is None:
        element.namespaces.pop(_text(prefix), None)
    else:
        element.namespaces[_text(prefix)] = a_string(namespace, "the namespace")
    return None


def get_namespace(_: Task, target: Value, prefix: Value = None) -> Value:
    return an_element(target).namespaces.get(_text(prefix))


def get_prefix(_: Task, target: Value, namespace: Value) -> Value:
    found = [prefix for prefix, uri in an_element(target).namespaces.items() if uri == namespace]
    return found[0] if found else None


def set_attribute(_: Task, target: Value, value: Value, name: Value, prefix: Value = None) -> Value:
    element, key = an_element(target), (_text(prefix), a_string(name, "the attribute's name"))
    if value is None:
        element.attributes.pop(key, None)
    else:
        element.attributes[key] = str(value) if isinstance(value, int) else a_string(value, "the attribute's value")
    return None


def get_attribute(_: Task, target: Value, name: Value, prefix: Value = None) -> Value:
    """The value of an attribute by name; (name, prefix) of attribute number n."""
    element = an_element(target)
    if isinstance(name, int):
        keys = list(element.attributes)
        if not 0 <= name < len(keys):
            return None
        return [keys[name][1], keys[name][0] or None]
    return element.attributes.get((_text(prefix), a_string(name, "the attribute's name")))


def xml_body(_: Task, target: Value, kind: Value, namespace: Value = None, index: Value = 0) -> Value:
    """Child number `index` of those of a type and namespace; null for either means any."""
    element = an_element(target)
    matching = [child for child in element.children if _matches(element, child, kind, namespace)]
    number = index if isinstance(index, int) else 0
    return matching[number] if 0 <= number < len(matching) else None


def _matches(parent: XmlElement, child: XmlElement | str, kind: Value, namespace: Value) -> bool:
    if isinstance(child, str):
        return kind is None and namespace is None
    if kind is not None and child.type != kind:
        return False
    declared = child.namespaces.get(child.prefix, parent.namespaces.get(child.prefix))
    return namespace is None or declared == namespace


def xml_type(_: Task, target: Value) -> Value:
    return an_element(target).type


def xml_prefix(_: Task, target: Value) -> Value:
    return an_element(target).prefix or None


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


BUILTINS = (
    Builtin("IsXML", "F", 1, 1, is_xml),
    Builtin("NewXML", "F", 1, 3, new_xml),
    Builtin("SetNamespace", "P", 2, 3, set_namespace),
    Builtin("GetNamespace", "F", 1, 2, get_namespace),
    Builtin("GetPrefix", "F", 2, 2, get_prefix),
    Builtin("SetAttribute", "P", 3, 4, set_attribute),
    Builtin("GetAttribute", "F", 2, 3, get_attribute),
    Builtin("XMLBody", "F", 2, 4, xml_body),
    Builtin("XMLType", "F", 1, 1, xml_type),
    Builtin("XMLPrefix", "F", 1, 1, xml_prefix),
)
