"""The console's settings. Everything that differs between installations comes from the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from console.common import env, redis_url

BASE_DIR = Path(__file__).resolve().parent.parent
TESTING = "pytest" in sys.modules
BERTH_HOME = Path(env.text("BERTH_HOME", str(BASE_DIR / ".berth"))).resolve()

DEBUG = env.flag("BERTH_DEBUG", False)
_key_file = BERTH_HOME / "secret-key"
SECRET_KEY = env.text(
    "BERTH_SECRET_KEY",
    "only-for-tests-" * 4 if TESTING else (_key_file.read_text().strip() if _key_file.exists() else ""),
)
_NEEDS_NO_KEY = {"makemigrations", "compilemessages", "makemessages", "collectstatic", "help", "check"}
if len(SECRET_KEY) < 32:
    if (len(sys.argv) > 1 and sys.argv[1] in _NEEDS_NO_KEY) or "mypy" in sys.argv[0]:
        SECRET_KEY = "no-secret-needed-for-this-command-" * 2
    else:
        raise ImproperlyConfigured("Set BERTH_SECRET_KEY or BERTH_SECRET_KEY_FILE (32 characters or more).")

_master_key_file = BERTH_HOME / "master-key"
MASTER_KEY_FILE = os.environ.get(
    "BERTH_MASTER_KEY_FILE", str(_master_key_file) if _master_key_file.exists() and not TESTING else ""
)
"""Keys under which secrets are kept (console/accounts/keyring.py). A path: the file changes when keys are rotated."""

BERTH_PORT = int(env.number("BERTH_PORT", 8000, least=1, most=65535))
BERTH_URL = env.text("BERTH_URL", f"http://127.0.0.1:{BERTH_PORT}").rstrip("/")
ALLOWED_HOSTS = env.words("BERTH_ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{urlsplit(BERTH_URL).hostname}")
CSRF_TRUSTED_ORIGINS = [BERTH_URL]

BERTH_LINK_URL = env.text("BERTH_LINK_URL", BERTH_URL).rstrip("/")
"""Where agents find the console. An https address of its own is served by `python -m console.link`."""
ALLOWED_HOSTS.append(urlsplit(BERTH_LINK_URL).hostname or "localhost")
BERTH_LINK_PORT = int(env.number("BERTH_LINK_PORT", 8443, least=1, most=65535))
BERTH_TLS_CERT, BERTH_TLS_KEY = env.text("BERTH_TLS_CERT", ""), env.text("BERTH_TLS_KEY", "")
"""Files of the link's certificate; without them the console's own authority signs one."""
BERTH_TLS_CA = env.text("BERTH_TLS_CA", "")
"""File of the authority that agents are to trust; `system`: that of their systems; empty: the console's own."""
BERTH_TLS_NAMES = env.words("BERTH_TLS_NAMES")
"""Names and addresses for which the own authority's certificate holds, besides those of the two addresses."""
if bool(BERTH_TLS_CERT) != bool(BERTH_TLS_KEY) or (BERTH_TLS_CERT and not BERTH_TLS_CA):
    raise ImproperlyConfigured("BERTH_TLS_CERT, BERTH_TLS_KEY and BERTH_TLS_CA go together.")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "template_partials",
    "django_htmx",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "console.common",
    "console.accounts",
    "console.cluster",
    "console.workloads",
    "console.images",
    "console.network",
    "console.webhooks",
    "console.controller",
    "console.api",
    "console.web",
]

MIDDLEWARE = [
    "console.common.middleware.request_id",
    "console.common.origin.middleware",
    "console.common.middleware.strict_transport",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "console.common.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = env.text("DATABASE_URL", f"sqlite:///{BERTH_HOME / 'berth.sqlite3'}")
# No persistent connections: under ASGI each request has a thread of its own, which would keep its own open.
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=0)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
        # The controller says several hundred different things; with Python's 128 each is compiled again and again.
        "cached_statements": 2000,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=10000;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BERTH_LOGS_DIR = Path(env.text("BERTH_LOGS_DIR", str(BERTH_HOME / "container-logs"))).resolve()
"""Logs of containers that have ended. All web processes and workers need the same one."""
TEAM_LOGS_MIB = env.number("BERTH_TEAM_LOGS_MIB", 2048, least=1, most=10**7)
"""What is kept of them for one team at most."""
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "logs": {
        "BACKEND": "console.workloads.storage.LogStorage",
        "OPTIONS": {"location": str(BERTH_LOGS_DIR)},
    },
}

REDIS_URL = env.text("REDIS_URL", f"unix://{BERTH_HOME / 'redis.sock'}")
try:
    _SENTINELS = redis_url.sentinels(REDIS_URL)
except ValueError as error:
    raise ImproperlyConfigured(f"REDIS_URL: {error}") from error
BERTH_BROKER_URL = env.text("BERTH_BROKER_URL", "" if _SENTINELS else REDIS_URL)
"""Address that agents are given for their broker; the user and the password are each node's own."""
if not BERTH_BROKER_URL:
    raise ImproperlyConfigured(
        "With Sentinels in REDIS_URL, agents need one address that leads to the master: set BERTH_BROKER_URL."
    )

CHANNEL_LAYERS = {
    "default": {
        # Pub/sub keeps nothing in Redis, so a wiped Redis loses no group.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [_SENTINELS.channel_host if _SENTINELS else REDIS_URL],
            "prefix": "berth:channels",
        },
    }
}

CACHES = {
    "default": {
        "BACKEND": "console.common.cache.Cache",
        "LOCATION": "unix:///nonexistent/berth-tests/redis.sock" if TESTING else REDIS_URL,
        "KEY_PREFIX": "berth:cache",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

CELERY_BROKER_URL = redis_url.celery_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_DETECT_QUORUM_QUEUES = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    **redis_url.celery_options(REDIS_URL),
    "global_keyprefix": "berth:worker:",
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "visibility_timeout": 600,
}
CELERY_BEAT_SCHEDULE = {
    "leaving": {"task": "console.cluster.tasks.let_go", "schedule": 5.0},
    "retention": {"task": "console.workloads.tasks.sweep", "schedule": 600.0},
    "logs": {"task": "console.workloads.tasks.sweep_logs", "schedule": 300.0},
    "audit": {"task": "console.accounts.tasks.seal_audit", "schedule": 2.0},
    "metrics": {
        "task": "console.workloads.tasks.record_metrics",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "webhooks": {
        "task": "console.webhooks.tasks.send_webhooks",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "deliveries": {"task": "console.webhooks.tasks.sweep", "schedule": 600.0},
    "kept answers": {"task": "console.api.tasks.forget_kept_answers", "schedule": 3600.0},
}

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:home"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SIGN_UP = env.one_of("BERTH_SIGN_UP", ("invitation", "open", "closed"))
"""Who may make an account: who is invited; everybody; nobody new."""
TEAMS_BY_EVERYONE = env.flag("BERTH_TEAMS_BY_EVERYONE", False)
"""Whether others than platform administrators make teams."""

REQUIRE_TWO_FACTOR = env.one_of("BERTH_REQUIRE_TWO_FACTOR", ("nobody", "administrators", "everybody"))
"""Who comes in with a second factor alone. Each team may ask its members for one, too."""

ACCOUNT_ADAPTER = "console.accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "console.accounts.signup.SignUpForm"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "web:sign-in"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_REAUTHENTICATION_METHODS = {"password", "mfa"}
ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,5/5m/key"}
# One step of 30 s either way, for clocks that differ and codes typed late (RFC 6238, 5.2).
MFA_TOTP_TOLERANCE = 1
MFA_ADAPTER = "console.accounts.adapters.MFAAdapter"
MFA_ALLOW_UNVERIFIED_EMAIL = True
_address = urlsplit(BERTH_URL)
# Browsers use security keys on https alone, or on this machine, and for names alone.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = _address.hostname == "localhost"
_by_name = not (_address.hostname or "").replace(".", "").isdecimal() and ":" not in (_address.hostname or "")
MFA_SUPPORTED_TYPES = [
    "totp",
    "recovery_codes",
    *(["webauthn"] if _by_name and (_address.scheme == "https" or _address.hostname == "localhost") else []),
]

OIDC_URL = env.text("BERTH_OIDC_URL", "")
"""Issuer of an OpenID Connect provider by which people sign in; empty: by password alone."""
OIDC_SIGN_UP = env.flag("BERTH_OIDC_SIGN_UP", False)
"""Whether everybody whom the provider knows gets an account, not only who was invited."""
SOCIALACCOUNT_ADAPTER = "console.accounts.adapters.SocialAccountAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": env.text("BERTH_OIDC_NAME", "OpenID Connect"),
                "client_id": env.text("BERTH_OIDC_CLIENT_ID", ""),
                "secret": env.text("BERTH_OIDC_CLIENT_SECRET", ""),
                "settings": {"server_url": OIDC_URL},
            }
        ]
        if OIDC_URL
        else [],
    }
}
TOKEN_FAILURES = env.number("BERTH_TOKEN_FAILURES", 60, least=1, most=10**6)
"""Requests with a wrong token that one address may make in a minute."""

EMAIL_HOST = env.text("BERTH_EMAIL_HOST", "")
"""Without one nothing is mailed, and what would be is shown instead."""
EMAIL_PORT = int(env.number("BERTH_EMAIL_PORT", 587, least=1, most=65535))
EMAIL_HOST_USER = env.text("BERTH_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.text("BERTH_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = env.flag("BERTH_EMAIL_STARTTLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("BERTH_EMAIL_FROM", f"berth@{urlsplit(BERTH_URL).hostname}")
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BERTH_URL.startswith("https://")
TRUSTED_PROXIES = env.networks("BERTH_TRUSTED_PROXIES")
"""Whose word counts, by X-Forwarded-For and X-Forwarded-Proto, for where a request comes from; nobody's by default."""
HSTS_SECONDS = int(env.number("BERTH_HSTS_SECONDS", 365 * 86400, least=0, most=10 * 365 * 86400))
"""For how long browsers come by https alone, once they have seen BERTH_URL be one; 0: they are not told."""
SECURE_CONTENT_TYPE_NOSNIFF = True
# Browsers heed it on https alone, and complain elsewhere.
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin" if BERTH_URL.startswith("https://") else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.text("BERTH_STATIC_ROOT", str(BASE_DIR / "staticfiles")))
WHITENOISE_USE_FINDERS = True
# Each test client would look for all files before its first request.
WHITENOISE_AUTOREFRESH = DEBUG or TESTING

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "console.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["console.api.permissions.TeamPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "console.api.errors.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Berth",
    "DESCRIPTION": "Deploy Compose apps on your own machines.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "console.api.openapi.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "AppRole": "console.accounts.enums.APP_ROLES",
        "AppState": "console.workloads.enums.AppState",
        "DeliveryState": "console.webhooks.enums.DeliveryState",
        "WebhookState": "console.webhooks.enums.WebhookState",
        "ContainerState": "console.workloads.enums.ContainerState",
        "JoinTokenState": "console.cluster.enums.JoinTokenState",
        "NodeState": "console.cluster.enums.NodeState",
        "OperationState": "console.workloads.enums.OperationState",
        "ReleaseState": "console.workloads.enums.ReleaseState",
        "Role": "console.accounts.enums.Role",
        "Verb": "console.accounts.enums.Verb",
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

NODE_HEARTBEAT = env.number("BERTH_NODE_HEARTBEAT", 2, least=1, most=60)
NODE_SUSPECT_AFTER = env.number("BERTH_NODE_SUSPECT_AFTER", 5, least=3, most=600)
NODE_DOWN_AFTER = env.number("BERTH_NODE_DOWN_AFTER", 8, least=4, most=3600)
if not 2 * NODE_HEARTBEAT <= NODE_SUSPECT_AFTER < NODE_DOWN_AFTER:
    raise ImproperlyConfigured(
        "BERTH_NODE_SUSPECT_AFTER must be at least twice BERTH_NODE_HEARTBEAT, and below BERTH_NODE_DOWN_AFTER."
    )
DISK_LOW_PERCENT = env.number("BERTH_DISK_LOW_PERCENT", 10, least=0, most=90)
DISK_LOW_MIB = env.number("BERTH_DISK_LOW_MIB", 2048, least=0, most=2**30)
"""A node with less than both free takes nothing new; 0 of either: free disk does not count."""
IMAGES_UNUSED_HOURS = env.number("BERTH_IMAGES_UNUSED_HOURS", 24, least=0, most=24 * 365)
IMAGES_UNUSED_LOW_HOURS = env.number("BERTH_IMAGES_UNUSED_LOW_HOURS", 1, least=0, most=24 * 365)
"""For how long a node keeps an image that no app needs and no container uses; the latter while hardly any of its
disk is free. 0 of the former: it keeps all."""
IMAGES_EVERY = env.number("BERTH_IMAGES_EVERY", 3600, least=1, most=86400 * 7)
"""Seconds between two times that a node is asked to remove such images; ten minutes at most while its disk is low."""
IMAGES_RELEASES = env.number("BERTH_IMAGES_RELEASES", 5, least=1, most=1000)
"""So many of an app's newest releases need their images: people may go back to them."""
ROLLOUT_DEADLINE = env.number("BERTH_ROLLOUT_DEADLINE", 600, least=10, most=86400)
PLACEMENT = env.one_of("BERTH_PLACEMENT", ("spread", "binpack", "fgd"))
"""The scheduler's policy for what is newly placed, and for suggested moves. What runs stays where it is."""
NETWORK_DRIVER = env.one_of("BERTH_NETWORK", ("bridge", "overlay"))
"""How far an app's networks reach: the node, or all nodes (docs/adr/0008-private-networks.md)."""
OVERLAY_POOL, OVERLAY_SUBNET = env.subnets("BERTH_OVERLAY_POOL", "10.90.0.0/16 24")
"""Where networks across hosts get their addresses, and how many bits each one's subnet has."""
ALLOW_LOW_PORTS = env.flag("BERTH_ALLOW_LOW_PORTS", False)
METRICS_TOKEN = env.text("BERTH_METRICS_TOKEN", "")
"""Opens `/metrics` to whoever collects them, beside administrators' API tokens."""
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("BERTH_METRICS_TOKEN has at least 16 characters.")
API_RATE = env.number("BERTH_API_RATE", 1200, least=0, most=10**6)
"""Requests to the API that one token, or one signed-in person, may make in a minute; 0: as many as they like."""
WEBHOOK_NETWORKS = env.networks("BERTH_WEBHOOK_NETWORKS")
"""Networks that webhooks may reach although they are not public; there also by plain http."""
RETENTION_DAYS = env.number("BERTH_RETENTION_DAYS", 30, least=1, most=3650)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # They would log whole addresses of webhooks, which may hold a secret.
    "loggers": {name: {"level": "WARNING"} for name in ("httpx", "httpcore")},
    "root": {"handlers": ["console"], "level": env.text("BERTH_LOG_LEVEL", "INFO")},
}
