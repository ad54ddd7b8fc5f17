"""What every page begins with: whose session it is. Both are read by questions that are written once."""

from typing import TYPE_CHECKING, Final

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from access.prepared import Prepared
from accounts.models import User

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

USER: Final = Prepared(lambda pk: User.objects.filter(pk=pk))
SESSION: Final = Prepared(lambda key: Session.objects.filter(session_key=key))


class Backend(AuthenticationBackend):
    """allauth's, by name or address and password."""

    def get_user(self, user_id: str) -> "AbstractBaseUser | None":
        return next((user for user in USER.objects(pk=user_id) if self.user_can_authenticate(user)), None)


class SessionStore(db.SessionStore):
    """Django's, in the database."""

    def _get_session_from_db(self) -> Session | None:
        found = SESSION.objects(key=self.session_key or "")
        if found and found[0].expire_date > timezone.now():
            return found[0]
        self._session_key = None
        return None
