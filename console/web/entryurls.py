"""Addresses of coming in and of one's own account that allauth serves. It looks them up by these names."""

from __future__ import annotations

from allauth.account import views
from allauth.socialaccount.urls import urlpatterns as of_providers
from allauth.urls import build_provider_urlpatterns
from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path, re_path

from console.web.views import entry

urlpatterns: list[URLPattern | URLResolver] = [
    path("sign-in/", entry.sign_in, name="account_login"),
    path("sign-up/", views.signup, name="account_signup"),
    path("account/sign-out/", views.logout, name="account_logout"),
    path("account/inactive/", views.account_inactive, name="account_inactive"),
    path("account/confirm/", views.reauthenticate, name="account_reauthenticate"),
    path("account/password/", views.password_change, name="account_change_password"),
    path("account/password/set/", views.password_set, name="account_set_password"),
    path("account/two-factor/", include("allauth.mfa.urls")),
]
if settings.OIDC_URL:
    urlpatterns += [
        path("account/connections/", include(of_providers)),
        *build_provider_urlpatterns(),
    ]
if settings.EMAIL_HOST:
    urlpatterns += [
        path("password/reset/", views.password_reset, name="account_reset_password"),
        path("password/reset/sent/", views.password_reset_done, name="account_reset_password_done"),
        path(
            "password/reset/done/",
            views.password_reset_from_key_done,
            name="account_reset_password_from_key_done",
        ),
        re_path(
            r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
            views.password_reset_from_key,
            name="account_reset_password_from_key",
        ),
    ]
