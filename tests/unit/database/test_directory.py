"""Where tenants live."""

import pytest

from kilocam.core import ConfigError
from kilocam.database import SYSTEM, Mode, Place, Placement, Shard
from kilocam.database.directory import check_shards, check_tenant, place_of, search_path


def test_tenants_share_a_schema_unless_they_have_their_own() -> None:
    shared = Placement(region="home")
    assert place_of("a", shared) == place_of("b", shared) == Place()
    apart = Placement(region="home", mode=Mode.SCHEMA)
    assert place_of("a", apart) != place_of("b", apart)


def test_a_schemas_name_fits_postgres_for_the_longest_id() -> None:
    place = place_of("x" * 63, Placement(region="home", mode=Mode.SCHEMA))
    assert len(place.schema) <= 63
    assert search_path(place) == f"{place.schema}, kilocam, public"


def test_a_tenant_alone_in_a_database_uses_its_main_schema() -> None:
    placement = Placement(region="eu", shard="eu-1", mode=Mode.DATABASE)
    assert place_of("a", placement) == Place(shard="eu-1")


def test_the_system_is_a_tenant_and_other_odd_ids_are_not() -> None:
    assert check_tenant(SYSTEM) == SYSTEM
    for odd in ("_other", "", "A", "a'b", "a/b", "x" * 64):
        with pytest.raises(ConfigError, match="tenant id"):
            check_tenant(odd)


def test_shards_have_names_of_their_own_and_one_is_home() -> None:
    home, far = Shard(url="postgresql:///x"), Shard(url="postgresql:///y", name="far")
    assert set(check_shards((home, far))) == {"home", "far"}
    with pytest.raises(ConfigError, match="two database shards have the same name"):
        check_shards((home, home))
    with pytest.raises(ConfigError, match="no database shard is called 'home'"):
        check_shards((far,))
