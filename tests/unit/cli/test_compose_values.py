# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values as a container gets them: what `init` reads, against what Compose 2.40.3 gave a container.

`config` prints other values than the container gets: dollars doubled. The expected ones were read
by `docker inspect` from containers that Compose had made of these files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pmsops_cli import compose

ENV = r"""
A=a$$b
B='single $x $$ "q"'
C="double $$ #no"
D=plain #comment
E=with#hash
F="esc\"q\\n"
G='it#s $A'
H=pw$A-end
I="new\nline"
"""
MORE = """
M1=m$$n
M2='s $x $$'
M3="d #h $$"
M4=plain #c
M5=$A
"""
GIVEN = {
    "A": "a$b",
    "B": 'single $x $$ "q"',
    "C": "double $ #no",
    "D": "plain",
    "E": "with#hash",
    "F": 'esc"q\\n',
    "G": "it#s $A",
    "H": "pwa$b-end",
    "I": "new\nline",
    "L1": "a$b",
    "L2": "x#y $HOME",
    "L3": "a$b$",
    "L4": "a$$b",
    "M1": "m$n",
    "M2": "s $x $$",
    "M3": "d #h $",
    "M4": "plain",
    "M5": "a$b",
}
FILE = """
services:
  s:
    image: x
    env_file: [sub/more.env]
    environment:
      A: ${A}
      B: ${B}
      C: ${C}
      D: ${D}
      E: ${E}
      F: ${F}
      G: ${G}
      H: ${H}
      I: ${I}
      L1: a$$b
      L2: "x#y $$HOME"
      L3: '${A}$$'
      L4: 'a$$$$b'
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".env").write_text(ENV)
    (tmp_path / "sub" / "more.env").write_text(MORE)
    (tmp_path / "docker-compose.yml").write_text(FILE)
    return tmp_path


def read(folder: Path) -> dict:
    return compose.read(compose.Sources((folder,))).services


def test_a_value_is_read_as_a_container_gets_it(project):
    assert read(project)["s"]["environment"] == GIVEN


def test_an_included_file_has_its_own_folder(project):
    (project / "sub" / ".env").write_text("A=other$$\n")
    (project / "sub" / "docker-compose.yml").write_text(
        "services:\n  t:\n    image: y\n    env_file: [more.env]\n    environment: {Z: '${A}'}\n"
    )
    with (project / "docker-compose.yml").open("a") as file:
        file.write("include: [sub/docker-compose.yml]\n")
    found = read(project)
    # The variables of the project come first; those of the included folder fill what it lacks.
    assert found["t"]["environment"]["Z"] == "a$b"
    assert found["t"]["environment"]["M2"] == "s $x $$"


def test_an_override_is_merged_as_compose_does(project):
    """It adds ports and dns, keeps disable of a health check, and replaces restart."""
    (project / "docker-compose.yml").write_text(
        "services:\n  s:\n    image: x\n    ports: ['127.0.0.1:1:1']\n    dns: [10.0.0.1]\n"
        "    restart: always\n    healthcheck: {disable: true}\n"
    )
    (project / "docker-compose.override.yml").write_text(
        "services:\n  s:\n    ports: ['127.0.0.1:2:2']\n    dns: [10.0.0.2]\n"
        "    restart: 'no'\n    healthcheck: {test: [CMD, x]}\n"
    )
    found = read(project)["s"]
    assert [each["published"] for each in found["ports"]] == ["1", "2"]
    assert found["dns"] == ["10.0.0.1", "10.0.0.2"]
    assert found["healthcheck"]["disable"] is True
    assert found["restart"] == "no"
