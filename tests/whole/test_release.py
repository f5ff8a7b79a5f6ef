"""What a release says of itself, in one version."""

import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import ocdl

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_package_citation_and_changelog_tell_one_version_and_one_licence():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {PROJECT['version']}" in citation and f"license: {PROJECT['license']}" in citation
    assert f"\n## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(PROJECT["license"])
    assert ocdl.__version__ == PROJECT["version"]


def test_the_package_is_marked_as_typed():
    assert Path(ocdl.__file__).with_name("py.typed").exists()


def test_what_is_shown_of_the_package_is_public_and_folders_that_offer_names():
    folders = {"analysis", "hjb", "learn"}
    shown = [name for name in dir(ocdl) if not name.startswith("_")]
    assert shown == sorted([*ocdl.__all__, *folders])
    assert {name for name in shown if isinstance(getattr(ocdl, name), ModuleType)} == folders
    assert all(import_module(f"ocdl.{name}").__all__ for name in folders)
