"""The fleet that searching is measured on: the same each time, of the sizes it says."""

import numpy as np

from kilocam.cli.bench.search.made import LENGTH, Fleet

FLEET = Fleet(events=28_000, vectors=2_800, cameras=100, tenants=5)


def test_tenants_are_uneven_and_one_has_a_hundredth() -> None:
    shares = [tenant.share for tenant in FLEET.members]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == 1
    assert shares[-1] == 0.01
    assert sum(len(tenant.cameras) for tenant in FLEET.members) == FLEET.cameras


def test_a_day_of_a_tenant_is_the_same_each_time_and_no_others() -> None:
    first, second = FLEET.members[:2]
    events, looks = FLEET.day(first, 3)
    assert (events, looks) == FLEET.day(first, 3)
    others = [FLEET.day(first, 4), FLEET.day(second, 3)]
    ids = {each.objects[0].event_id for each in events}
    for other, _ in others:
        assert ids.isdisjoint(each.objects[0].event_id for each in other)


def test_there_are_as_many_as_it_says() -> None:
    days = [FLEET.day(tenant, 0) for tenant in FLEET.members]
    assert abs(sum(len(events) for events, _ in days) - 1_000) < 5
    assert 70 < sum(len(looks) for _, looks in days) < 130


def test_vectors_have_length_one_and_are_no_tight_clusters() -> None:
    vectors = FLEET.looks(FLEET.members[0], 200)
    assert vectors.shape == (200, LENGTH)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T - 2 * np.eye(200)
    nearest = likeness.max(axis=1)
    assert 0.3 < float(np.median(nearest)) < 0.9


def test_questions_are_of_all_tenants_and_kinds() -> None:
    questions = FLEET.questions(200)
    assert questions == FLEET.questions(200)
    assert {each.tenant for each in questions} == {tenant.id for tenant in FLEET.members}
    assert {each.kind for each in questions} == {
        "hybrid", "colour", "plate", "spoken", "class", "looks"
    }  # fmt: skip
