"""The installation that the tests run: its own var/, nothing of the developer's, no Redis."""

import atexit
import os
import shutil
import tempfile

VAR = tempfile.mkdtemp(prefix="mlteam-test-")
os.chmod(VAR, 0o711)  # jobs of another user pass through, as in a real var/
atexit.register(shutil.rmtree, VAR, ignore_errors=True)

os.environ.update(MLTEAM_VAR=VAR, MLTEAM_TEST="1", PORT="8000")
# No key is tried outside: nothing listens there, and a server of a test would not go there.
SERVICES = ("aws", "azure", "docker", "gcp", "huggingface", "kaggle", "ngc", "wandb", "wasabi")
os.environ["MLTEAM_SERVICES"] = " ".join(f"{name}=http://127.0.0.1:9" for name in SERVICES)
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{VAR}/hypothesis")
for name in ("MLTEAM_URL", "MLTEAM_DEBUG", "MLTEAM_OPEN_SIGNUP", "MLTEAM_REQUIRE_MFA", "REDIS_URL", "EMAIL_URL"):
    os.environ.pop(name, None)

from mlteam.settings import *  # noqa: E402, F403
from mlteam.settings import DATABASES  # noqa: E402

# A program that a test starts is a real one, with the real settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "mlteam.settings"

# No test client asks for static files; looking at all of them before the first request takes longer than most tests.
SERVESTATIC_USE_FINDERS = SERVESTATIC_USE_STATIC_ROOT = False

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, as in an installation: two connections wait for each other as they would there.
    DATABASES["default"]["TEST"] = {"NAME": f"{VAR}/test.sqlite3"}
else:
    DATABASES["default"]["TEST"] = {"TEMPLATE": DATABASES["default"]["NAME"]}  # migrated by tests.postgresql
