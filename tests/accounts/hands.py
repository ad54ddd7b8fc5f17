"""What people do to sign in, in tests."""

from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value

from accounts import second_step
from tests.conftest import PASSWORD

LOGIN, STEP, CONFIRM, SECURITY = (
    "/accounts/login/",
    "/accounts/second-step/",
    "/accounts/confirm/",
    "/profile/security/",
)
APP_NEW, CODES = f"{SECURITY}apps/new/", f"{SECURITY}recovery-codes/"


class Clock:
    """The 30-second step that it is now, for as long as the test wants."""

    step = 1000

    def counters(self):
        return iter((self.step - 1, self.step, self.step + 1))


def code(secret, step):
    """What an app with the secret shows in a step."""
    return format_hotp_value(hotp_value(secret, step))


def add_app(user, clock, name="Phone"):
    """Gives the account an app; answers its secret, and the recovery codes that came with it. The code is of the step before."""
    secret = generate_totp_secret()
    return secret, second_step.add_app(user=user, name=name, secret=secret, code=code(secret, clock.step - 1))


def sign_in(client, user, **more):
    """Types the password."""
    return client.post(LOGIN, {"login": user.email, "password": PASSWORD, **more})


def confirm(client):
    """Types the password once more, as it is asked for before something changes."""
    return client.post(CONFIRM, {"password": PASSWORD})


def is_in(client):
    """Whether the pages are open."""
    return client.get("/projects/").status_code == 200
