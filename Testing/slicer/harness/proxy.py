"""Qt objects in PythonQt's manners, by proxies that go through each object's meta-object.

PySide6's own classes stay untouched. What PythonQt does and PySide6 does not is done here: properties are plain
attributes and win over getters, an unknown attribute raises, signals are connected by their C++ signature, enumerations
are integers. A misspelt signal raises here (PythonQt only prints a line), so that a test sees it.
"""

from __future__ import annotations

import enum
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

SLOT_ERRORS: list[str] = []
"""Tracebacks of exceptions in slots since the last clear: PythonQt prints and swallows them, a test must not."""

_NEVER_FORWARDED = {"__class__", "_object"}
_RENAMED = {"exec_": "exec", "print_": "print"}


class EnumInt(int):
    """A Qt enumeration value as PythonQt shows it: an integer, which PySide6 gets back as what it was."""

    original: enum.Enum

    def __new__(cls, original: enum.Enum) -> EnumInt:
        value = super().__new__(cls, original.value)
        value.original = original
        return value

    def __or__(self, other: int) -> int:
        return EnumInt(self.original | other.original) if isinstance(other, EnumInt) else int(self) | int(other)


class Proxy:
    """One Qt object, QObject or value, seen the way PythonQt shows it."""

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_object", target)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and self._object == other._object

    def __hash__(self) -> int:
        return hash(self._object)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self._object).__name__} {id(self._object):#x}>"

    def __dir__(self) -> list[str]:
        return dir(self._object)

    def __getattr__(self, name: str) -> Any:
        if name in _NEVER_FORWARDED or name.startswith("__"):
            raise AttributeError(name)
        target = self._object
        if isinstance(target, QtCore.QObject):
            meta = target.metaObject()
            position = meta.indexOfProperty(name)
            own = _QOBJECT_MEMBERS.get(name)
            if own is not None and position < 0:
                return own(target)
            if position >= 0:
                return wrap(meta.property(position).read(target))
            if _signalNamed(meta, name) is not None:
                return BoundSignal(target, name)
        member = getattr(target, _RENAMED.get(name, name), None)
        if callable(member):
            return _method(member)
        if isinstance(member, enum.Enum):
            return EnumInt(member)
        raise AttributeError(f"{type(target).__name__} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        target = self._object
        meta = target.metaObject() if isinstance(target, QtCore.QObject) else None
        if name == "name" and meta is not None and meta.indexOfProperty(name) < 0:
            name = "objectName"
        position = meta.indexOfProperty(name) if meta is not None else -1
        if meta is None or position < 0:
            raise AttributeError(f"{type(target).__name__} has no property named '{name}'")
        qtProperty = meta.property(position)
        before = qtProperty.read(target)
        if not qtProperty.isWritable() or not _suits(before, value) or not qtProperty.write(target, unwrap(value)):
            raise AttributeError(f"Property '{name}' of type '{qtProperty.typeName()}' does not accept {value!r}")


class BoundSignal:
    """A signal seen as an attribute: it is emitted by calling it, and connected without naming its arguments."""

    def __init__(self, target: QtCore.QObject, name: str) -> None:
        self._target = target
        self._name = name

    def __call__(self, *arguments: Any) -> None:
        getattr(self._target, self._name).emit(*(unwrap(value) for value in arguments))

    emit = __call__

    def connect(self, function: Callable[..., Any]) -> bool:
        """Connect to the first overload."""
        return _connect(self._target, _signalNamed(self._target.metaObject(), self._name) or "", function)

    def disconnect(self, function: Callable[..., Any]) -> bool:
        """Undo `connect`."""
        return _disconnect(self._target, _signalNamed(self._target.metaObject(), self._name) or "", function)


class ClassProxy:
    """A Qt class: calling it makes a proxied object; its enumerations are integers."""

    def __init__(self, target: type) -> None:
        self._class = target
        self.__name__ = target.__name__

    def __call__(self, *arguments: Any) -> Any:
        return wrap(self._class(*(unwrap(value) for value in arguments)))

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(unwrap(instance), self._class)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        member = getattr(self._class, name, None)
        if isinstance(member, enum.Enum):
            return EnumInt(member)
        if isinstance(member, type) and issubclass(member, enum.Enum):
            return member
        if callable(member):
            return _method(member)
        raise AttributeError(f"{self._class.__name__} has no attribute named '{name}'")


def wrap(value: Any) -> Any:
    """A value from PySide6 as PythonQt would hand it to Python."""
    if isinstance(value, enum.Enum):
        return EnumInt(value)
    if isinstance(value, QtCore.QByteArray):
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(wrap(item) for item in value)
    if type(value).__module__.startswith("PySide6") or isinstance(value, QtCore.QObject):
        return Proxy(value)
    return value


def unwrap(value: Any) -> Any:
    """The PySide6 value behind what a module handed in."""
    if isinstance(value, Proxy):
        return value._object
    if isinstance(value, EnumInt):
        return value.original
    if isinstance(value, BoundSignal):
        return getattr(value._target, value._name)
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    if isinstance(value, tuple):
        return tuple(unwrap(item) for item in value)
    if isinstance(value, bytearray):
        return repr(value).encode()  # what QIODevice.write gets from PythonQt when it is given a bytearray
    return value


def _method(member: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        return wrap(member(*(unwrap(value) for value in arguments), **keywords))

    return call


def _suits(before: Any, value: Any) -> bool:
    """Whether PythonQt would take `value` for a property that now reads `before`."""
    if isinstance(before, str):
        return isinstance(value, str)
    if isinstance(before, (bool, int, float)) and not isinstance(before, enum.Enum):
        return isinstance(value, (bool, int, float))
    return True


def _signalNamed(meta: QtCore.QMetaObject, name: str) -> str | None:
    for position in range(meta.methodCount()):
        method = meta.method(position)
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal and bytes(method.name().data()).decode() == name:
            return bytes(method.methodSignature().data()).decode()
    return None


def _normalised(signature: str) -> str:
    text = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    for pointer in ("vtkMRMLNode*", "vtkMRMLScene*", "vtkMRMLSegmentationNode*"):
        text = text.replace(pointer, "PyObject")  # the stand-ins' signals carry VTK objects as Python objects
    return text


_connections: dict[tuple[int, str, Any], Callable[..., Any]] = {}


def _connect(target: QtCore.QObject, signature: str, function: Callable[..., Any]) -> bool:
    wanted = _normalised(signature)
    position = target.metaObject().indexOfSignal(wanted)
    if position < 0:
        raise ValueError(f"{type(target).__name__} has no signal {signature}")
    count = target.metaObject().method(position).parameterCount()
    adaptor = _adaptor(function, count)
    _connections[(id(target), wanted, _keyOf(function))] = adaptor
    return bool(QtCore.QObject.connect(target, QtCore.SIGNAL(wanted), adaptor))


def _disconnect(target: QtCore.QObject, signature: str, function: Callable[..., Any]) -> bool:
    wanted = _normalised(signature)
    adaptor = _connections.pop((id(target), wanted, _keyOf(function)), None)
    return adaptor is not None and bool(QtCore.QObject.disconnect(target, QtCore.SIGNAL(wanted), adaptor))


def _keyOf(function: Callable[..., Any]) -> Any:
    return (id(function.__self__), function.__func__) if inspect.ismethod(function) else function


def _adaptor(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """A function of exactly `count` arguments (PySide6 counts them) that trims the surplus as PythonQt does."""
    wanted = _takes(function, count)

    def deliver(*arguments: Any) -> None:
        try:
            function(*(wrap(value) for value in arguments[:wanted]))
        except Exception:
            SLOT_ERRORS.append(traceback.format_exc())
            print(SLOT_ERRORS[-1], file=sys.stderr)

    names = ", ".join(f"a{i}" for i in range(count))
    return eval(f"lambda {names}: deliver({names})", {"deliver": deliver})  # type: ignore[no-any-return]


def _takes(function: Callable[..., Any], count: int) -> int:
    """How many of `count` arguments are passed: trimmed only for functions and methods without *args."""
    if isinstance(function, BoundSignal) or not (inspect.isfunction(function) or inspect.ismethod(function)):
        return count
    code = function.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return count
    return min(count, code.co_argcount - (1 if inspect.ismethod(function) else 0))


def _delete(target: QtCore.QObject) -> None:
    import shiboken6

    shiboken6.delete(target)


def _children(target: QtCore.QObject, kind: str, name: str) -> list[Any]:
    """Children by the class name as text (PythonQt's way) and, unless empty, by object name."""
    found = [child for child in target.findChildren(QtCore.QObject) if child.inherits(kind)]
    return [wrap(child) for child in found if not name or child.objectName() == name]


_QOBJECT_MEMBERS: dict[str, Callable[[Any], Any]] = {
    "name": lambda target: target.objectName(),
    "className": lambda target: lambda: target.metaObject().className(),
    "children": lambda target: lambda: [wrap(child) for child in target.children()],
    "inherits": lambda target: target.inherits,
    "findChild": lambda target: lambda kind, name="": next(iter(_children(target, kind, name)), None),
    "findChildren": lambda target: lambda kind="QObject", name="": _children(target, kind, name),
    "delete": lambda target: lambda: _delete(target),
    "connect": lambda target: lambda signature, function: _connect(target, signature, function),
    "disconnect": lambda target: lambda signature, function: _disconnect(target, signature, function),
}
