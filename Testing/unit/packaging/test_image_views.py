"""A view into an image's memory is only good as long as somebody holds the image."""

import ast

import pytest

VIEW = "GetArrayViewFromImage"


def dangling(source):
    """Lines on which a view is taken of an image that only the call itself holds, or given to a caller."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if _isView(node) and not all(_isHeld(one) for one in node.args):
            found.append(node.lineno)
        if isinstance(node, ast.Return) and node.value is not None and _isView(_unwrapped(node.value)):
            found.append(node.lineno)
    return found


def _isView(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == VIEW


def _isHeld(value):
    """A name, its attribute, or what a dictionary has by a name: anything else makes an image that nobody has."""
    while isinstance(value, ast.Attribute) or (isinstance(value, ast.Subscript) and _isText(value.slice)):
        value = value.value
    return isinstance(value, ast.Name)


def _isText(value):
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _unwrapped(value):
    """Without what keeps it a view: `view[...]`, `view.reshape(...)`."""
    while True:
        if isinstance(value, ast.Subscript):
            value = value.value
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and not _isView(value):
            value = value.func.value if value.func.attr in ("reshape", "ravel", "transpose", "view") else None
        else:
            return value


@pytest.mark.parametrize("folder", ["PETCTFusionSeg", "Testing"])
def test_no_view_outlives_its_image(repository, folder):
    files = sorted((repository / folder).rglob("*.py"))
    assert len(files) > 100
    bad = {str(path): lines for path in files if (lines := dangling(path.read_text(encoding="utf-8")))}
    assert not bad


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("a = sitk.GetArrayViewFromImage(image)", []),
        ("a = sitk.GetArrayViewFromImage(study.image)", []),
        ("a = sitk.GetArrayViewFromImage(study['CT'])", []),
        ("a = sitk.GetArrayViewFromImage(read(path)) != 0", [1]),
        ("a = sitk.GetArrayViewFromImage(image != 0).sum()", [1]),
        ("a = sitk.GetArrayViewFromImage(image[2:, :, :]).sum()", [1]),
        ("def f(image):\n    return sitk.GetArrayViewFromImage(image)[1:].ravel()", [2]),
        ("def f(image):\n    return sitk.GetArrayViewFromImage(image) > 0", []),
        ("def f(image):\n    return int(sitk.GetArrayViewFromImage(image).sum())", []),
    ],
)
def test_the_rule_sees_what_it_should(source, lines):
    assert dangling(source) == lines
