"""The installation's settings; everything that differs between installations comes from the environment."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from mlteam import state

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = state.VAR


def env(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def flag(name: str, default: bool = False) -> bool:
    return env(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


DEBUG = flag("MLTEAM_DEBUG")
SECRET_KEY = state.secret("django")

# The one address of the dashboard: every absolute link comes from it, never from a request's Host header.
PORT = int(env("PORT", "8000"))
HOST = env("HOST", "127.0.0.1")
MLTEAM_URL = env("MLTEAM_URL", f"http://localhost:{PORT}").rstrip("/")
_address = urlsplit(MLTEAM_URL)
_secure = _address.scheme == "https"
_loopback = {"localhost", "127.0.0.1", "[::1]"}
ALLOWED_HOSTS = sorted({_address.hostname or "localhost"} | (_loopback if _address.hostname in _loopback else set()))
CSRF_TRUSTED_ORIGINS = [MLTEAM_URL]
# A WebSocket is opened only by a page of ours; on one machine the page may be called by any of its loopback names.
WEBSOCKET_ORIGINS = [
    f"{_address.scheme}://{host}:{_address.port}" if _address.port else f"{_address.scheme}://{host}"
    for host in ALLOWED_HOSTS
]
# How many proxies in front of the server say in X-Forwarded-For where a request comes from. What others say there is ignored.
MLTEAM_PROXIES = int(env("MLTEAM_PROXIES", "1" if _secure else "0"))
MLTEAM_API_RATE = int(
    env("MLTEAM_API_RATE", "1200")
)  # requests of one account or role in a minute; 0: as many as it likes
if _secure:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
SESSION_ENGINE = "accounts.backends"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
# The __Host- prefix ties a cookie to this very host; browsers take it only over TLS.
SESSION_COOKIE_NAME = "__Host-mlteam" if _secure else f"mlteam-{PORT}"
CSRF_COOKIE_NAME = "__Host-csrf" if _secure else f"mlteam-csrf-{PORT}"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SAMESITE = "Lax"

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "servestatic.runserver_nostatic",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "channels",
    "django_htmx",
    "mlteam",
    "accounts",
    "access",
    "api",
    "teams",
    "projects",
    "billing",
    "compute",
    "datastores",
    "jobs",
]

MIDDLEWARE = [
    "mlteam.middleware.Reference",
    "mlteam.middleware.ContentSecurityPolicy",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "mlteam.middleware.no_null",
    "accounts.middleware.last_seen",
    "accounts.middleware.time_zone",
    "projects.middleware.noted_origin",
    "accounts.middleware.SecondStepRequired",
    "projects.middleware.active_project",
    "access.middleware.pages_ask_once",
    "projects.viewing.as_a_member",
]

ROOT_URLCONF = "mlteam.urls"
ASGI_APPLICATION = "mlteam.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "projects.context.shell",
            ],
            "builtins": ["django.templatetags.static", "mlteam.templatetags.shown"],
        },
    }
]

# SQLite takes its write lock when a transaction begins: waiting writers queue instead of failing at their first write.
_sqlite: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": state.database_file(),
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
    },
    "CONN_MAX_AGE": None,
}
if env("DATABASE_URL"):
    DATABASES = {"default": dj_database_url.parse(env("DATABASE_URL"), conn_health_checks=True)}
    if "postgresql" in DATABASES["default"]["ENGINE"]:
        # Django closes a connection after each request, and the next one would connect anew: 10 ms of every page.
        options = DATABASES["default"].setdefault("OPTIONS", {})
        options["pool"] = {"min_size": 0, "max_size": 20, "timeout": 20}
        # A question that looks dear, and is not, would be compiled first: a tenth of a second.
        options["options"] = f"{options.get('options', '')} -c jit=off".strip()
        # access.prepared.planned_once. Not for a pooler that gives each transaction another connection, as pgbouncer may.
        if flag("MLTEAM_PREPARED_STATEMENTS", True):
            plan = "plan_cache_mode=force_generic_plan"  # from the first time, not from the sixth
            options |= {"prepare_threshold": 2, "options": f"{options['options']} -c {plan}"}
else:
    DATABASES = {"default": _sqlite}  # type: ignore[dict-item]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = state.redis_url()
# Rate limits alone are kept here: in the database they hold for all processes, over restarts, and while Redis is away.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "rate_limits",  # the table of accounts.models.RateLimit
        "OPTIONS": {
            "MAX_ENTRIES": 100_000
        },  # then some give way: far more than one address can fill, at 30 sign-ins a minute
    }
}
CHANNEL_PREFIX = "mlteam"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [state.redis_url()], "prefix": CHANNEL_PREFIX},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "accounts.backends.Backend",
    "projects.permissions.Backend",
]
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # its backend: ours answers for its rows, and for owners
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ANONYMOUS_USER_NAME = None  # guardian: no anonymous row among our users
GUARDIAN_RAISE_403 = False

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_ADAPTER = "accounts.adapter.Adapter"
ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_FORMS = {
    "login": "accounts.forms.LoginForm",
    "signup": "accounts.forms.SignupForm",
    "reauthenticate": "accounts.forms.ConfirmPasswordForm",
}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"  # an unverified account can do very little: see accounts.models.User.verified
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_USERNAME_MIN_LENGTH = 2
ACCOUNT_USERNAME_VALIDATORS = "accounts.names.username_validators"
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _address.scheme
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before the address changes: whoever has it can reset the password

ACCOUNT_RATE_LIMITS = {
    "reset_password": "20/m/ip,5/h/key",  # so many emails to one address
    "manage_email": "20/h/user",
    "reauthenticate": "10/m/user,60/d/user",
}

# The second step at sign-in: codes of authenticator apps, passkeys, recovery codes.
REQUIRE_MFA = flag("MLTEAM_REQUIRE_MFA")
MFA_ADAPTER = "accounts.adapter.SecondStepAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "accounts.forms.SecondStepForm",
    "authenticate_webauthn": "accounts.forms.PasskeyStepForm",
    "reauthenticate": "accounts.forms.ConfirmCodeForm",
    "reauthenticate_webauthn": "accounts.forms.ConfirmPasskeyForm",
}
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds before and after now: clocks differ
MFA_ALLOW_UNVERIFIED_EMAIL = (
    True  # else allauth refuses to change an address; accounts.second_step asks for a proven one
)
# Signing in with GitHub, where there are keys for it. With another address it is a GitHub Enterprise Server.
GITHUB_CLIENT_ID = env("MLTEAM_GITHUB_CLIENT_ID")
GITHUB_CLIENT_SECRET = env("MLTEAM_GITHUB_CLIENT_SECRET")
GITHUB_URL = env("MLTEAM_GITHUB_URL", "https://github.com").rstrip("/")
GITHUB_API_URL = "https://api.github.com" if GITHUB_URL == "https://github.com" else f"{GITHUB_URL}/api/v3"
# The longest that a personal token lasts, in days; 0: for ever, when its owner wants that.
TOKEN_MAX_DAYS = int(env("MLTEAM_TOKEN_MAX_DAYS", "365"))
# What a browser is known by, so that a sign-in from another one is told by email.
DEVICE_COOKIE_NAME = "__Host-mlteam-device" if _secure else f"mlteam-device-{PORT}"

# Sign-up is by invitation unless this opens it.
OPEN_SIGNUP = flag("MLTEAM_OPEN_SIGNUP")
MLTEAM_ADMINS_MAKE_TEAMS = flag("MLTEAM_ADMINS_MAKE_TEAMS")  # else everybody does

EMAIL_BACKEND = "mlteam.outbox.EmailBackend"
EMAIL_FILE_PATH = state.directory("outbox")
if env("EMAIL_URL"):
    _mail = urlsplit(env("EMAIL_URL"))
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = _mail.hostname or "localhost", _mail.port or 25
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.username or "", _mail.password or ""
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.scheme == "smtp+tls", _mail.scheme == "smtps"
    EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("MLTEAM_EMAIL_FROM", f"mlteam <mlteam@{_address.hostname}>")

LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}
if flag("MLTEAM_TEST") or DEBUG:  # no collectstatic needed: files come straight from their finders
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    SERVESTATIC_USE_FINDERS = SERVESTATIC_AUTOREFRESH = True

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 1000
FILE_UPLOAD_TEMP_DIR = state.directory("tmp")
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
TEST_RUNNER = "django.test.runner.DiscoverRunner"

# Jobs
MLTEAM_GPU_APPROVAL = flag("MLTEAM_GPU_APPROVAL")  # GPUs only for accounts that an admin approved
MLTEAM_UNSANDBOXED = flag(
    "MLTEAM_UNSANDBOXED"
)  # runs jobs without a sandbox: only where every member is trusted with the server
MLTEAM_MAX_RUN_TIME = int(env("MLTEAM_MAX_RUN_TIME", "0")) or None  # seconds, default of jobs that name none
MLTEAM_STOP_GRACE = int(env("MLTEAM_STOP_GRACE", "10"))  # seconds between SIGTERM and SIGKILL
MLTEAM_LOG_CAP = int(env("MLTEAM_LOG_CAP", str(4 * 2**30)))  # bytes of log kept for an attempt
MLTEAM_UPLOAD_CAP = int(env("MLTEAM_UPLOAD_CAP", str(100 * 2**20)))  # bytes of files uploaded with one job
MLTEAM_UID_BASE = int(env("MLTEAM_UID_BASE", "70000"))  # first of 20,000 uids that jobs of a server run as root drop to
MLTEAM_PIP_OPTIONS = [
    # Whom the host trusts, so that an index of one's own works without a word.
    *(["--system-certs"] if Path("/etc/ssl/certs/ca-certificates.crt").exists() else []),
    *(["--index-url", env("MLTEAM_PIP_INDEX_URL")] if env("MLTEAM_PIP_INDEX_URL") else []),
    *(["--find-links", env("MLTEAM_PIP_FIND_LINKS")] if env("MLTEAM_PIP_FIND_LINKS") else []),
    *(["--no-index"] if flag("MLTEAM_PIP_NO_INDEX") else []),
]

# Datasets and models
MLTEAM_BLOBS = env("MLTEAM_BLOBS").strip()  # where their content is kept: files under var/blobs, unless it is named
MLTEAM_DATA_CAP = int(
    env("MLTEAM_DATA_CAP", "0")
)  # bytes of content that a project may have, with volumes; 0: as much as there is room
MLTEAM_INPUT_CAP = int(
    env("MLTEAM_INPUT_CAP", "0")
)  # bytes of one input that a job has fetched; 0: as much as there is room
MLTEAM_INPUTS_CAP = int(
    env("MLTEAM_INPUTS_CAP", str(2**40))
)  # bytes of inputs that jobs of one owner have on the host at once; 0: as much as there is room
MLTEAM_IMPORT_CAP = int(env("MLTEAM_IMPORT_CAP", str(2**40)))  # bytes that are fetched from one address, and unpacked

# Volumes
MLTEAM_VOLUME_QUOTA = int(env("MLTEAM_VOLUME_QUOTA", str(100 * 2**30)))  # bytes of a volume for which nothing is said
MLTEAM_VOLUME_QUOTA_MOST = int(
    env("MLTEAM_VOLUME_QUOTA_MOST", "0")
)  # bytes that one may be given; 0: as many as wanted

# Where the pages' “Report a problem” leads: an email address, or the address of a page.
MLTEAM_CONTACT = env("MLTEAM_CONTACT").strip()
if MLTEAM_CONTACT and not re.fullmatch(r"https?://[^\s\"<>]+|[^\s@:/?&\"<>]+@[^\s@:/?&\"<>]+", MLTEAM_CONTACT):
    raise ImproperlyConfigured("MLTEAM_CONTACT: expected an email address, or an address that begins with https://")

# Networks into which the server goes for its users, besides the public Internet: mlteam.outside.
try:
    MLTEAM_REACHABLE = [ip_network(one) for one in re.split(r"[\s,]+", env("MLTEAM_REACHABLE").strip()) if one]
except ValueError as error:
    raise ImproperlyConfigured(
        f"MLTEAM_REACHABLE: networks such as 10.1.0.0/16, with spaces between. {error}"
    ) from None

# Where services are whose keys are tried, if not where everybody's are: projects.third_party_tries.SERVICES names them.
MLTEAM_SERVICES = {name: where for name, _, where in (one.partition("=") for one in env("MLTEAM_SERVICES").split())}
if not all(where.startswith(("https://", "http://")) for where in MLTEAM_SERVICES.values()):
    raise ImproperlyConfigured("MLTEAM_SERVICES: such as wandb=https://wandb.example.org, with spaces between.")

# Charges
MLTEAM_CURRENCY = env("MLTEAM_CURRENCY", "EUR")  # the one currency of prices, credits and budgets
# Whether jobs start only while who pays has credit left: "" no; at its end, running jobs that cannot be restarted
# "finish", or are stopped ("stop").
MLTEAM_CREDIT_NEEDED = env("MLTEAM_CREDIT_NEEDED")
if MLTEAM_CREDIT_NEEDED not in {"", "finish", "stop"}:
    raise ImproperlyConfigured("MLTEAM_CREDIT_NEEDED is finish or stop, or not set.")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}{reference}", "style": "{"}},
    "filters": {"reference": {"()": "mlteam.reference.InLog"}, "refusals": {"()": "mlteam.reference.Refusals"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["reference"]}},
    "root": {"handlers": ["console"], "level": env("MLTEAM_LOG_LEVEL", "WARNING")},
    # Redis being away is no error here: hints are lost and found by looking. It would say so each second.
    "loggers": {"channels_redis": {"level": "CRITICAL"}, "django.request": {"filters": ["refusals"]}},
}
MLTEAM_ORGANIZATION = env("MLTEAM_ORGANIZATION", "mlteam")  # the first part of every URN
