"""What a role, an app's own role and a token's scope leave of each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest
from django.utils import timezone

from console.accounts.access import Access, renewed_access, team_access
from console.accounts.enums import ALL_VERBS, Role, Verb, with_included
from console.accounts.members import set_app_role, set_role
from console.accounts.models import ApiToken, AppRole
from console.accounts.queries import app_members
from console.accounts.tokens import create_token
from console.common.errors import Forbidden, NotFound
from tests import factories

pytestmark = pytest.mark.django_db
EVERY_SET = [
    frozenset(some) for some in chain.from_iterable(combinations(Verb, size) for size in range(len(Verb) + 1))
]


def _with_token(access: Access, **scope: object) -> Access:
    token, _secret = create_token(access, name="t", **scope)  # type: ignore[arg-type]
    return team_access(access.user, access.team.slug, token)


def test_verbs_never_exceed_the_role_nor_the_token() -> None:
    team = factories.make_team()
    for role in Role:
        access = factories.make_member(team, role)
        assert access.verbs() == role.verbs
        for some in EVERY_SET:
            token = ApiToken(user=access.user, team=team, verbs=[verb.value for verb in some])
            through = replace(access, token=token)
            assert through.verbs() == role.verbs & some
            assert not through.administrator


def test_what_verbs_include() -> None:
    for some in EVERY_SET:
        found = with_included(some)
        assert found >= some
        assert Verb.READ in found
        assert (Verb.WRITE not in found) or Verb.DEPLOY in found
        assert with_included(found) == found


def test_a_token_of_one_app_reaches_nothing_else() -> None:
    owner = factories.make_member(factories.make_team())
    shop, blog = factories.make_app(owner, "shop"), factories.make_app(owner, "blog")
    access = _with_token(owner, apps=[shop.pk])
    assert access.verbs(shop) == ALL_VERBS - {Verb.ADMIN}
    assert access.verbs(blog) == access.verbs() == frozenset()
    assert access.sees(shop.pk)
    assert not access.sees(blog.pk)
    with pytest.raises(Forbidden):
        access.require_whole_team()


def test_a_token_of_no_app_is_not_one_of_all() -> None:
    owner = factories.make_member(factories.make_team())
    shop = factories.make_app(owner)
    access = replace(owner, token=ApiToken(user=owner.user, team=owner.team, apps=[]))
    assert access.verbs() == access.verbs(shop) == frozenset()


def test_a_token_falls_with_its_makers_role() -> None:
    team = factories.make_team()
    owner, other = factories.make_member(team), factories.make_member(team)
    through = _with_token(other, verbs=[Verb.WRITE, Verb.ADMIN])
    assert through.may(Verb.ADMIN)
    set_role(owner, factories.membership_of(other), role=Role.VIEWER)
    fallen = team_access(other.user, team.slug, through.token)
    assert fallen.verbs() == {Verb.READ}


def test_a_disabled_accounts_token_ends() -> None:
    owner = factories.make_member(factories.make_team())
    through = _with_token(owner)
    owner.user.is_active = False
    owner.user.save()
    assert through.token is not None
    with pytest.raises(NotFound):
        renewed_access(owner.user.pk, through.token.pk, owner.team.pk, timezone.now())


def test_an_app_may_have_another_role() -> None:
    team = factories.make_team()
    owner = factories.make_member(team)
    viewer, developer = (factories.make_member(team, role) for role in (Role.VIEWER, Role.DEVELOPER))
    shop, blog = factories.make_app(owner, "shop"), factories.make_app(owner, "blog")
    set_app_role(owner, factories.membership_of(viewer), shop, role=Role.DEVELOPER)
    set_app_role(owner, factories.membership_of(developer), shop, role=Role.VIEWER)
    assert (viewer.role_in(shop), viewer.role_in(blog)) == (Role.DEVELOPER, Role.VIEWER)
    assert (developer.role_in(shop), developer.role_in(blog)) == (Role.VIEWER, Role.DEVELOPER)
    assert not viewer.may(Verb.DEPLOY)
    viewer.require_deploy(shop)
    with pytest.raises(Forbidden):
        developer.require_exec(shop)
    assert viewer.inside(shop).role is Role.DEVELOPER
    differing = {one.membership.user_id for one in app_members(team, shop.pk) if one.differs}
    assert differing == {viewer.user.pk, developer.user.pk}
    set_app_role(owner, factories.membership_of(viewer), shop, role=None)
    assert viewer.role_in(shop) is Role.VIEWER


def test_a_token_goes_as_far_as_the_apps_own_role() -> None:
    team = factories.make_team()
    owner, viewer = factories.make_member(team), factories.make_member(team, Role.VIEWER)
    shop = factories.make_app(owner)
    through = _with_token(viewer, verbs=[Verb.DEPLOY])
    assert not through.may(Verb.DEPLOY, shop)
    set_app_role(owner, factories.membership_of(viewer), shop, role=Role.DEVELOPER)
    assert through.verbs(shop) == {Verb.READ, Verb.DEPLOY}


def test_roles_in_apps_end_when_they_say_nothing() -> None:
    team = factories.make_team()
    owner, viewer = factories.make_member(team), factories.make_member(team, Role.VIEWER)
    member, shop = factories.membership_of(viewer), factories.make_app(owner)
    set_app_role(owner, member, shop, role=Role.VIEWER)
    assert not AppRole.objects.exists()
    set_app_role(owner, member, shop, role=Role.DEVELOPER)
    set_role(owner, member, role=Role.DEVELOPER)
    assert not AppRole.objects.exists()


def test_another_users_or_teams_token_opens_nothing() -> None:
    team, other = factories.make_team(), factories.make_team()
    owner, second = factories.make_member(team), factories.make_member(team)
    factories.join(owner.user, other, Role.OWNER)
    through = _with_token(owner)
    for user, slug in ((second.user, team.slug), (owner.user, other.slug)):
        with pytest.raises(NotFound):
            team_access(user, slug, through.token)
