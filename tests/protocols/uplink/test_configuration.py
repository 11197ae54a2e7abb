"""Taking a configuration apart and together: nothing is lost, nothing local leaves, both sides name it alike."""

from __future__ import annotations

from importlib.resources import files
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from edge_agent.config import TABLES
from edge_agent.config_edit import with_secrets, without_secrets
from protocols.catalogue import BUILT_IN, driver_class
from protocols.errors import ConfigError
from protocols.uplink.configuration import (
    KEPT,
    LOCAL_TABLES,
    SECRET_KEYS,
    SHARED_TABLES,
    difference,
    join,
    normal,
    secrets_in,
    split,
    tables_of,
    version_of,
)

LOCAL = (
    '# the box in hall 3\n[agent]\nname = "a"  # here\n\n# where to\n[cloud]\nurl = "http://127.0.0.1"\n# ca = "x"\n'
)
SHARED = """# limits of the disk
[buffer]
limit_mb = 64

# the press
[[device]]
name = "press"
protocol = "opcua"
connection = { endpoint = "opc.tcp://127.0.0.1:1", user = "op", password = "s3cret" }
[[device.point]]
name = "p"
description = '''
[agent]
is what this box is
'''
node = "ns=2;s=p"
"""

BLOCKS = st.sampled_from(
    [
        "[agent]\nname = 'a'\n",
        "[cloud]\nurl = 'u'\n# tail\n",
        "\n# a comment\n[buffer]\nlimit_mb = 1\n",
        "[[device]]\nname = 'x'\n[device.connection]\nhost = 'h' # h\n",
        "# lead\n\n# nearer\n[[device]] # here\nname = 'y'\nlist = [\n  [1],\n  [2]\n]\n",
        "[[inspection]]\n\ndevice = 'c'\n\n\n",
    ]
)


def test_the_sample_is_taken_apart_and_put_together_again() -> None:
    text = files("edge_agent").joinpath("sample.toml").read_text(encoding="utf-8")
    local, shared = split(text)
    assert set(tables_of(local)) == set(LOCAL_TABLES)
    assert "[[device]]" in shared
    assert "# Configuration of a Sunmao edge agent" in local
    assert "# [[inspection]]" in shared
    assert split(join(local, shared)) == (local.rstrip() + "\n\n", shared)


def test_a_header_within_text_is_no_header() -> None:
    local, shared = split(LOCAL + "\n" + SHARED)
    assert (local.strip(), shared) == (LOCAL.strip(), SHARED)
    local, shared = split(SHARED + "\n" + LOCAL)
    assert (local.strip(), shared) == (LOCAL.strip(), SHARED)


@given(st.lists(BLOCKS, unique=True))
def test_any_order_of_tables_is_taken_apart_without_loss(blocks: list[str]) -> None:
    text = "".join(blocks)
    local, shared = split(text)
    assert split(join(local, shared))[1] == shared == normal(shared)
    assert tables_of(join(local, shared)) == tables_of(text)
    assert sorted(line for line in (local + shared).splitlines() if line.strip()) == sorted(
        line.rstrip() for line in text.splitlines() if line.strip()
    )


@pytest.mark.parametrize(
    "text", ["agent = {name = 'a'}\n", "agent.name = 'a'\n[buffer]\n", "device = [{name = 'a'}]\n[cloud]\n"]
)
def test_what_cannot_be_taken_apart_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="with headers"):
        join(*split(text))


def test_a_secret_never_leaves_and_comes_back_where_it_was() -> None:
    told = without_secrets(SHARED)
    assert "s3cret" not in told
    assert KEPT in told
    assert with_secrets(told, SHARED) == SHARED
    assert with_secrets(told.replace('user = "op"', 'user = "other"'), SHARED).count("s3cret") == 1
    with pytest.raises(ConfigError, match=r"device\.pump\.connection\.password: the box has no secret"):
        with_secrets(told.replace('name = "press"', 'name = "pump"'), SHARED)
    assert without_secrets(LOCAL) == LOCAL
    assert dict(secrets_in(tables_of(SHARED))) == {("device", "press", "connection", "password"): "s3cret"}


def test_every_secret_of_a_connection_is_known_as_one() -> None:
    found = set()
    for protocol in BUILT_IN:
        for name, field in driver_class(protocol).Connection.model_fields.items():
            if SecretStr in (field.annotation, *get_args(field.annotation)):
                found.add(name)
    assert found
    assert found <= SECRET_KEYS


def test_every_table_of_the_agents_configuration_is_local_or_shared() -> None:
    assert set(TABLES) <= {*LOCAL_TABLES, *SHARED_TABLES}


def test_a_version_is_of_the_normal_form() -> None:
    assert normal("\n\n# a\n\n[buffer]  \nlimit_mb = 1\n\n") == "# a\n[buffer]\nlimit_mb = 1\n"
    assert normal(" \n") == ""
    assert version_of("") != version_of(SHARED)
    assert difference(SHARED, SHARED) == ""
    assert difference("a = 1\n", "a = 2\n") == "@@ -1 +1 @@\n-a = 1\n+a = 2"
