"""Every route, for everybody: one table of what is answered, and a walk over all routes to compare with it.

A route without a row fails, and so does one whose view names no action. Each GET is also made with writing refused.
"""

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from access.decisions import split_action
from access.routes import PLAIN
from datastores import transfer
from jobs import runner_api
from mlteam.asgi import websocket_urlpatterns
from projects import links
from teams import links as team_links
from tests.access.everybody import WHO, read
from tests.conftest import no_writes

# Beside everybody (WHO): full member of a project in this one; programs, for which pages are not: with the key of a role that
# may everything, and with a personal token of the owner.
BESIDE = {"child": "stranger", "key": "anon", "token": "anon"}

# Of a row that is the same for everybody who is signed in, these are asked.
SOME = ("anon", "stranger", "read", "owner", "admin", "key", "token")

# in: to sign-in; go: done, and on to another page; numbers: the status.
TABLE = """
                                              anon inv  str  rem  none read own  oth  all  team own  adm
home                                     GET  in   go   go   go   go   go   go   go   go   go   go   go
setup                                    GET  404  404  404  404  404  404  404  404  404  404  404  404
setup                                    POST 404  404  404  404  404  404  404  404  404  404  404  404
admins                                   GET  in   200  200  200  200  200  200  200  200  200  200  200
admin_add                                POST in   403  403  403  403  403  403  403  403  403  403  200
admin_remove                             GET  in   403  403  403  403  403  403  403  403  403  403  200
admin_remove                             POST in   403  403  403  403  403  403  403  403  403  403  go
profile                                  GET  in   200  200  200  200  200  200  200  200  200  200  200
profile                                  POST in   200  200  200  200  200  200  200  200  200  200  200
account_security                         GET  in   200  200  200  200  200  200  200  200  200  200  200
app_new                                  GET  in   go   go   go   go   go   go   go   go   go   go   go
app_new                                  POST in   go   go   go   go   go   go   go   go   go   go   go
app_remove                               GET  in   go   go   go   go   go   go   go   go   go   go   go
app_remove                               POST in   go   go   go   go   go   go   go   go   go   go   go
passkey_new                              GET  in   go   go   go   go   go   go   go   go   go   go   go
passkey_new                              POST in   go   go   go   go   go   go   go   go   go   go   go
passkey_remove                           GET  in   go   go   go   go   go   go   go   go   go   go   go
passkey_remove                           POST in   go   go   go   go   go   go   go   go   go   go   go
recovery_codes                           GET  in   go   go   go   go   go   go   go   go   go   go   go
recovery_codes                           POST in   go   go   go   go   go   go   go   go   go   go   go
session_end                              POST in   404  404  404  404  404  404  404  404  404  404  404
sessions_end                             POST in   go   go   go   go   go   go   go   go   go   go   go
tokens                                   GET  in   200  200  200  200  200  200  200  200  200  200  200
token_new                                GET  in   go   go   go   go   go   go   go   go   go   go   go
token_new                                POST in   go   go   go   go   go   go   go   go   go   go   go
token_revoke                             GET  in   404  404  404  404  404  404  404  404  404  404  404
token_revoke                             POST in   404  404  404  404  404  404  404  404  404  404  404
device                                   GET  in   go   go   go   go   go   go   go   go   go   go   go
device                                   POST in   go   go   go   go   go   go   go   go   go   go   go
device_approve                           POST in   go   go   go   go   go   go   go   go   go   go   go
device_deny                              POST in   200  200  200  200  200  200  200  200  200  200  200
device_approved                          GET  in   200  200  200  200  200  200  200  200  200  200  200
device_code                              POST 400  400  400  400  400  400  400  400  400  400  400  400
device_token                             POST 400  400  400  400  400  400  400  400  400  400  400  400
account_emails                           GET  in   200  200  200  200  200  200  200  200  200  200  200
account_emails                           POST in   go   go   go   go   go   go   go   go   go   go   go
account_close                            GET  in   go   go   go   go   go   go   go   go   go   go   go
account_close                            POST in   go   go   go   go   go   go   go   go   go   go   go
account_reauthenticate                   GET  in   200  200  200  200  200  200  200  200  200  200  200
account_reauthenticate                   POST in   200  200  200  200  200  200  200  200  200  200  200
mfa_reauthenticate                       GET  in   go   go   go   go   go   go   go   go   go   go   go
mfa_reauthenticate                       POST in   go   go   go   go   go   go   go   go   go   go   go
mfa_reauthenticate_webauthn              GET  in   go   go   go   go   go   go   go   go   go   go   go
mfa_reauthenticate_webauthn              POST in   go   go   go   go   go   go   go   go   go   go   go
mfa_authenticate                         GET  go   go   go   go   go   go   go   go   go   go   go   go
mfa_authenticate                         POST go   go   go   go   go   go   go   go   go   go   go   go
github_ask                               POST 404  404  404  404  404  404  404  404  404  404  404  404
github_answer                            GET  404  404  404  404  404  404  404  404  404  404  404  404
github_remove                            GET  in   go   go   go   go   go   go   go   go   go   go   go
github_remove                            POST in   go   go   go   go   go   go   go   go   go   go   go
account_login                            GET  200  go   go   go   go   go   go   go   go   go   go   go
account_login                            POST 200  go   go   go   go   go   go   go   go   go   go   go
account_logout                           GET  go   200  200  200  200  200  200  200  200  200  200  200
account_logout                           POST go   go   go   go   go   go   go   go   go   go   go   go
account_inactive                         GET  200  200  200  200  200  200  200  200  200  200  200  200
account_signup                           GET  200  go   go   go   go   go   go   go   go   go   go   go
account_signup                           POST 200  go   go   go   go   go   go   go   go   go   go   go
account_email                            GET  in   200  200  200  200  200  200  200  200  200  200  200
account_email                            POST in   go   go   go   go   go   go   go   go   go   go   go
account_change_password                  GET  in   200  200  200  200  200  200  200  200  200  200  200
account_change_password                  POST in   200  200  200  200  200  200  200  200  200  200  200
account_reset_password                   GET  200  200  200  200  200  200  200  200  200  200  200  200
account_reset_password                   POST 200  200  200  200  200  200  200  200  200  200  200  200
account_reset_password_done              GET  200  200  200  200  200  200  200  200  200  200  200  200
account_reset_password_from_key_done     GET  200  200  200  200  200  200  200  200  200  200  200  200
account_reset_password_from_key          GET  200  200  200  200  200  200  200  200  200  200  200  200
account_reset_password_from_key          POST 200  200  200  200  200  200  200  200  200  200  200  200
account_email_verification_sent          GET  200  200  200  200  200  200  200  200  200  200  200  200
account_confirm_email                    GET  200  200  200  200  200  200  200  200  200  200  200  200
account_confirm_email                    POST 404  404  404  404  404  404  404  404  404  404  404  404
api_docs                                 GET  200  200  200  200  200  200  200  200  200  200  200  200
projects:list                            GET  in   200  200  200  200  200  200  200  200  200  200  200
projects:find                            GET  in   go   go   go   go   go   go   go   go   go   go   go
projects:new                             GET  in   200  200  200  200  200  200  200  200  200  200  200
projects:new                             POST in   200  200  200  200  200  200  200  200  200  200  200
projects:switch                          POST in   404  404  404  go   go   go   go   go   go   go   404
projects:invitation                      GET  200  200  200  200  200  200  200  200  200  200  200  200
projects:invitation                      POST 403  go   403  403  403  403  403  403  403  403  403  403
teams:list                               GET  in   200  200  200  200  200  200  200  200  200  200  200
teams:new                                GET  in   200  200  200  200  200  200  200  200  200  200  200
teams:new                                POST in   200  200  200  200  200  200  200  200  200  200  200
teams:detail                             GET  in   200  200  200  200  200  200  200  200  200  200  200
teams:rename                             GET  in   403  403  403  403  403  403  403  403  403  200  403
teams:rename                             POST in   403  403  403  403  403  403  403  403  403  200  403
teams:remove                             GET  in   403  403  403  403  403  403  403  403  403  200  403
teams:remove                             POST in   403  403  403  403  403  403  403  403  403  go   403
teams:user_add                           POST in   403  403  403  403  403  403  403  403  403  200  403
teams:user_set                           POST in   403  403  403  403  403  403  403  403  403  go   403
teams:user_remove                        GET  in   403  403  403  403  403  403  403  403  200  200  403
teams:user_remove                        POST in   403  403  403  403  403  403  403  403  go   go   403
teams:invitation                         GET  200  200  200  200  200  200  200  200  200  200  200  200
teams:invitation                         POST 403  go   403  403  403  403  403  403  403  403  403  403
teams:invitation_resend                  POST in   403  403  403  403  403  403  403  403  403  go   403
teams:invitation_revoke                  POST in   403  403  403  403  403  403  403  403  403  go   403
teams:team_add                           POST in   403  403  403  403  403  403  403  403  403  200  403
teams:team_remove                        POST in   403  403  403  403  403  403  403  403  403  go   403
projects:rules                           GET  in   200  200  200  200  200  200  200  200  200  200  200
projects:user_policy_add                 POST in   403  403  403  403  403  403  403  403  403  403  200
projects:policy_remove                   POST in   404  404  404  403  403  403  403  403  403  go   404
projects:roles                           GET  in   404  404  404  200  200  200  200  200  200  200  404
projects:roles                           POST in   404  404  404  403  403  403  403  403  403  200 404
projects:team_roles                      GET  in   403  403  403  403  403  403  403  403  200  200  403
projects:team_roles                      POST in   403  403  403  403  403  403  403  403  403  200 403
projects:team_policy_add                 POST in   403  403  403  403  403  403  403  403  403  200  403
projects:installation_roles              GET  in   200  200  200  200  200  200  200  200  200  200  200
projects:installation_roles              POST in   403  403  403  403  403  403  403  403  403  403  200
projects:role                            GET  in   404  404  404  200  200  200  200  200  200  200  404
projects:role_remove                     GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:role_remove                     POST in   404  404  404  403  403  403  403  403  403  go   404
projects:role_policy_add                 POST in   404  404  404  403  403  403  403  403  403  200  404
projects:role_member_add                 POST in   404  404  404  403  403  403  403  403  403  200  404
projects:role_member_remove              POST in   404  404  404  403  403  403  403  403  403  go   404
projects:role_key_add                    POST in   404  404  404  403  403  403  403  403  403  200  404
projects:role_key_remove                 POST in   404  404  404  403  403  403  403  403  403  go   404
projects:view_as                         POST in   404  404  404  403  403  403  403  403  403  go   404
projects:view_end                        POST in   404  404  404  go   go   go   go   go   go   go   404
projects:access                          GET  in   404  404  404  200  200  200  200  200  200  200  404
projects:members                         GET  in   404  404  404  200  200  200  200  200  200  200  404
projects:invite                          POST in   404  404  404  403  403  403  403  403  403  200  404
projects:member_set                      POST in   404  404  404  403  403  403  403  403  403  go   404
projects:member_remove                   GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:member_remove                   POST in   404  404  404  403  403  403  403  403  403  go   404
projects:team_add                        POST in   404  404  404  403  403  403  403  403  403  200  404
projects:team_set                        POST in   404  404  404  403  403  403  403  403  403  go   404
projects:team_remove                     GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:team_remove                     POST in   404  404  404  403  403  403  403  403  403  go   404
projects:invitation_resend               POST in   404  404  404  403  403  403  403  403  403  go   404
projects:invitation_revoke               POST in   404  404  404  403  403  403  403  403  403  go   404
projects:ownership_offer                 GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:ownership_offer                 POST in   404  404  404  403  403  403  403  403  403  go   404
projects:ownership                       GET  in   404  404  404  200  200  200  200  200  200  200  404
projects:ownership_accept                POST in   404  404  404  go   go   go   go   go   go   go   404
projects:ownership_decline               POST in   404  404  404  go   go   go   go   go   go   go   404
projects:ownership_withdraw              POST in   404  404  404  403  403  403  403  403  403  go   404
projects:keys                            GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:key_add                         GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:key_add                         POST in   404  404  404  403  403  403  403  403  403  200  404
projects:key_replace                     GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:key_replace                     POST in   404  404  404  403  403  403  403  403  403  200  404
projects:key_test                        POST in   404  404  404  403  403  403  403  403  403  go   404
projects:key_remove                      GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:key_remove                      POST in   404  404  404  403  403  403  403  403  403  go   404
projects:audit                           GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:audit_csv                       GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:audit_json_lines                GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:leave                           GET  in   404  404  404  200  200  200  200  200  403  403  404
projects:leave                           POST in   404  404  404  go   go   go   go   go   403  403  404
projects:settings                        GET  in   404  404  404  200  200  200  200  200  200  200  404
projects:settings                        POST in   404  404  404  403  403  403  403  403  403  200  404
projects:remove                          GET  in   404  404  404  403  403  403  403  403  403  200  404
projects:remove                          POST in   404  404  404  403  403  403  403  403  403  200  404
billing:mine                             GET  in   200  200  200  200  200  200  200  200  200  200  200
billing:mine_csv                         GET  in   200  200  200  200  200  200  200  200  200  200  200
billing:project                          GET  in   404  404  404  200  200  200  200  200  200  200  404
billing:project_csv                      GET  in   404  404  404  200  200  200  200  200  200  200  404
billing:budgets                          GET  in   404  404  404  403  403  403  403  403  403  200  404
billing:budgets                          POST in   404  404  404  403  403  403  403  403  403  go   404
billing:budget_remove                    POST in   404  404  404  403  403  403  403  403  403  go   404
datastores:list                          GET  in   404  404  404  403  200  200  200  200  200  200  404
datastores:new                           GET  in   404  404  404  403  403  200  200  200  200  200  404
datastores:new                           POST in   404  404  404  403  403  200  200  200  200  200  404
datastores:detail                        GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:version                       GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:show                          GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:file                          GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:archive                       GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:compare                       GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:edit                          GET  in   404  404  404  404  403  200  403  200  200  200  404
datastores:edit                          POST in   404  404  404  404  403  200  403  200  200  200  404
datastores:description                   POST in   404  404  404  403  200  200  200  200  200  200  404
datastores:upload                        GET  in   404  404  404  404  403  200  403  200  200  200  404
datastores:abandon                       POST in   404  404  404  404  403  404  403  404  404  404  404
datastores:volume_show                   GET  in   404  404  404  404  404  404  404  404  404  404  404
datastores:volume_file                   GET  in   404  404  404  404  404  404  404  404  404  404  404
datastores:volume_archive                GET  in   404  404  404  404  404  404  404  404  404  404  404
datastores:new_folder                    POST in   404  404  404  404  403  404  403  404  404  404  404
datastores:remove_content                GET  in   404  404  404  404  403  404  403  404  404  404  404
datastores:remove_content                POST in   404  404  404  404  403  404  403  404  404  404  404
datastores:import                        GET  in   404  404  404  404  403  200  403  200  200  200  404
datastores:import                        POST in   404  404  404  404  403  200  403  200  200  200  404
datastores:imports                       GET  in   404  404  404  404  200  200  200  200  200  200  404
datastores:import_again                  POST in   404  404  404  404  403  go   403  go   go   go   404
datastores:import_stop                   POST in   404  404  404  404  403  go   403  go   go   go   404
datastores:remove                        GET  in   404  404  404  404  403  200  403  200  200  200  404
datastores:remove                        POST in   404  404  404  404  403  go   403  go   go   go   404
jobs:list                                GET  in   404  404  404  403  200  200  200  200  200  200  404
jobs:new                                 GET  in   404  404  404  403  403  200  200  200  200  200  404
jobs:new                                 POST in   404  404  404  403  403  422  422  422  422  422  404
jobs:preview                             POST in   404  404  404  403  403  200  200  200  200  200  404
jobs:detail                              GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:artifacts                           GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:spec                                GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:history                             GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:stop                                POST in   404  404  404  404  403  go   403  go   go   go   404
jobs:store                               POST in   404  404  404  404  403  go   403  go   go   go   404
jobs:remove                              GET  in   404  404  404  404  403  200  403  200  200  200  404
jobs:remove                              POST in   404  404  404  404  403  go   403  go   go   go   404
jobs:artifact                            GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:artifacts_zip                       GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:log_raw                             GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:log_page                            GET  in   404  404  404  404  200  200  200  200  200  200  404
jobs:log_search                          GET  in   404  404  404  404  200  200  200  200  200  200  404
"""

# The staff's site: there for nobody else. Its templates are Django's, which ask for variables that are not there.
STAFF = """
                                              anon inv  str  rem  none read own  oth  all  team own  adm
staff:index                              GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:app_list                           GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:jsi18n                             GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_price_changelist           GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_price_add                  GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_price_add                  POST in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_price_change               GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_price_change               POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_price_history              GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_price_delete               GET  in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_price_delete               POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_credit_changelist          GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_credit_add                 GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_credit_add                 POST in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_credit_change              GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_credit_change              POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_credit_history             GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_credit_delete              GET  in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_credit_delete              POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_billingaccount_changelist  GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_billingaccount_add         GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_billingaccount_add         POST in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_billingaccount_change      GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_billingaccount_change      POST in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_billingaccount_history     GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_billingaccount_delete      GET  in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_billingaccount_delete      POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_charge_changelist          GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_charge_add                 GET  in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_charge_add                 POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_charge_change              GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_charge_change              POST in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_charge_history             GET  in   404  404  404  404  404  404  404  404  404  404  200
staff:billing_charge_delete              GET  in   404  404  404  404  404  404  404  404  404  404  403
staff:billing_charge_delete              POST in   404  404  404  404  404  404  404  404  404  404  403
"""

# The owners' site: its lists are everybody's own, its rows those of the one who owns the project.
OWNERS = """
                                              anon inv  str  rem  none read own  oth  all  team own  adm
owners:index                             GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:jsi18n                            GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_project_changelist       GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_project_add              GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_project_add              POST in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_project_history          GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_project_delete           GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_project_delete           POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_project_change           GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_project_change           POST in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_member_changelist        GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_member_add               GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_member_add               POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_member_history           GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_member_delete            GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_member_delete            POST in   404  404  404  404  404  404  404  404  404  go   404
owners:projects_member_change            GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_member_change            POST in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_teammember_changelist    GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_teammember_add           GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_teammember_add           POST in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_teammember_history       GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_teammember_delete        GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_teammember_delete        POST in   404  404  404  404  404  404  404  404  404  go   404
owners:projects_teammember_change        GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_teammember_change        POST in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_invitation_changelist    GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_invitation_add           GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_invitation_add           POST in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_invitation_history       GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_invitation_delete        GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_invitation_delete        POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_invitation_change        GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_invitation_change        POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_auditentry_changelist    GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_auditentry_add           GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_auditentry_add           POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_auditentry_history       GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_auditentry_delete        GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_auditentry_delete        POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_auditentry_change        GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_auditentry_change        POST in   403  403  403  403  403  403  403  403  403  403  403
owners:billing_budget_changelist         GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:billing_budget_add                GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:billing_budget_add                POST in   200  200  200  200  200  200  200  200  200  200  200
owners:billing_budget_history            GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:billing_budget_delete             GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:billing_budget_delete             POST in   404  404  404  404  404  404  404  404  404  go   404
owners:billing_budget_change             GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:billing_budget_change             POST in   404  404  404  404  404  404  404  404  404  go   404
owners:projects_thirdpartykey_changelist         GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:projects_thirdpartykey_add                GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_thirdpartykey_add                POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_thirdpartykey_history            GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_thirdpartykey_delete             GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_thirdpartykey_delete             POST in   403  403  403  403  403  403  403  403  403  403  403
owners:projects_thirdpartykey_change             GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:projects_thirdpartykey_change             POST in   403  403  403  403  403  403  403  403  403  403  403
owners:billing_charge_changelist         GET  in   200  200  200  200  200  200  200  200  200  200  200
owners:billing_charge_add                GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:billing_charge_add                POST in   403  403  403  403  403  403  403  403  403  403  403
owners:billing_charge_history            GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:billing_charge_delete             GET  in   403  403  403  403  403  403  403  403  403  403  403
owners:billing_charge_delete             POST in   403  403  403  403  403  403  403  403  403  403  403
owners:billing_charge_change             GET  in   404  404  404  404  404  404  404  404  404  200  404
owners:billing_charge_change             POST in   403  403  403  403  403  403  403  403  403  403  403
owners:app_list                          GET  in   200  200  200  200  200  200  200  200  200  200  200
"""

# Close codes, or open. A line is opened by a page: who gets no page may still try.
LINES = """
                                              anon inv  str  rem  none read own  oth  all  team own  adm
ws/p/<slug:slug>/jobs                    WS   4403 4404 4404 4404 open open open open open open open 4404
ws/jobs/<slug:job_id>                    WS   4403 4404 4404 4404 4404 open open open open open open 4404
ws/jobs/<slug:job_id>/<int:index>/log    WS   4403 4404 4404 4404 4404 open open open open open open 4404
"""


def rows(table: str) -> dict[tuple[str, str], dict[str, str]]:
    """(route, method) -> who -> what is answered."""
    parsed = [line.split() for line in table.strip().splitlines()[1:]]
    return {(name, method): dict(zip(WHO, answers, strict=True)) for name, method, *answers in parsed}


def routes(patterns=None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every route of the pages by its full name."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace == "api":
            continue  # tests/api has a table of its own
        if isinstance(pattern, URLResolver):
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from routes(pattern.url_patterns, inner)
        else:
            assert pattern.name, f"{pattern} has no name"
            yield prefix + pattern.name, pattern


def test_every_route_has_its_row_and_every_row_its_route():
    assert {name for name, _ in routes()} == {name for name, _ in rows(TABLE) | rows(STAFF) | rows(OWNERS)}
    assert {str(pattern.pattern) for pattern in websocket_urlpatterns} == {name for name, _ in rows(LINES)}


def test_every_route_names_its_action():
    views = [(name, pattern.callback) for name, pattern in routes()]
    lines = [(str(pattern.pattern), pattern.callback.consumer_class) for pattern in websocket_urlpatterns]
    for name, view in [*views, *lines, ("runner", runner_api.application), ("data", transfer.application)]:
        action = getattr(view, "access_action", None)
        assert action, f"{name} names no action"
        assert action in PLAIN or split_action(action), name


def test_a_route_about_a_project_names_an_action_on_it_and_asks_for_a_sign_in():
    for name, pattern in routes():
        action = pattern.callback.access_action
        if "slug" in pattern.pattern.converters:
            assert action not in PLAIN, name
        if action not in {"public", "token"}:
            assert getattr(pattern.callback, "login_required", True), f"{name} is open to everybody"


def _arguments(world, who: str, name: str = "") -> dict[str, object]:
    of_team, of_role = name.startswith("projects:team"), name.startswith("projects:role")
    member = "in_team" if name.startswith("teams:") else "team" if of_team else "role_member" if of_role else "member"
    return {
        "role_id": world["role"].pk,
        "policy_id": world["policy"].pk,
        "third_party_id": world["rows"]["thirdpartykey"],
        "kind": "aws",
        "key_id": world["key"].pk,
        "slug": "vision",
        "username": world["people"]["admin"].username,
        "member_id": world[member].pk,
        "team": world["team"].team.slug,
        "inner": world["team"].team.slug,
        "invitation_id": world["team_offer" if name.startswith("teams:") else "offer"].pk,
        "token": team_links.token_of(world["team_offer"], links.EMAILED)
        if name.startswith("teams:")
        else links.token_of(world["offer"], links.EMAILED),
        "job_id": world["jobs"][BESIDE.get(who, who)].pk,
        "datastore_id": world["datastores"][BESIDE.get(who, who)].pk,
        "import_id": world["imports"][BESIDE.get(who, who)].pk,
        "number": 1,
        "index": 0,
        "path": "model.txt",
        "budget_id": world["rows"]["budget"],
        "app_label": "billing",
        "uidb36": "a",
        "key": "b-c",
        "app_id": "guess",
        "passkey_id": 1,
        "session_id": 1,
        "token_id": "guess",
        "upload_id": "guess",
    }


def _address(name: str, pattern: URLPattern, world, who: str) -> str:
    wanted = set(pattern.pattern.converters) | set(re.findall(r"\?P<(\w+)>", str(pattern.pattern)))
    known = _arguments(world, who, name)
    if "object_id" in wanted:  # staff:billing_price_change
        known["object_id"] = world["rows"][name.split("_")[1]]
    return reverse(name, kwargs={argument: known[argument] for argument in wanted})


POSTED = {
    "project": "vision",
    "preset": "Viewer",
    "amount": "5",
    "when_full": "stop",
    "role": "user",
    "person": "m-read",
}


def _ask(world, who: str, method: str, address: str) -> str:
    """What is answered, as the table writes it; nothing that it did is left."""
    client = Client()
    session = world["beside"]["child"] if who == "child" else world["sessions"].get(who)
    if session:
        client.cookies[settings.SESSION_COOKIE_NAME] = session
    headers = {"authorization": f"Bearer {world['beside'][who]}"} if who in {"key", "token"} else {}
    with transaction.atomic():
        if method == "GET":
            with no_writes():
                response = client.get(address, headers=headers)
        else:
            response = client.post(address, POSTED, headers=headers)
        if response.streaming:
            read(response)
        transaction.set_rollback(True)
    return _written(response)


def _written(response) -> str:
    if response.status_code != 302:
        return str(response.status_code)
    return "in" if response["Location"].startswith("/accounts/login/?next=") else "go"


@pytest.mark.walk
@pytest.mark.slow
def test_every_answer_is_the_tables(world):
    _compare(world, TABLE)


@pytest.mark.walk
@pytest.mark.slow
@pytest.mark.ignore_template_errors
def test_every_answer_of_the_staffs_site_is_the_tables(world):
    _compare(world, STAFF)


@pytest.mark.walk
@pytest.mark.slow
@pytest.mark.ignore_template_errors
def test_every_answer_of_the_owners_site_is_the_tables(world):
    _compare(world, OWNERS)


def _compare(world, table: str) -> None:
    known, wrong = dict(routes()), []
    for (name, method), expected in rows(table).items():
        alike = len({answer for who, answer in expected.items() if who != "anon"}) == 1
        for who in SOME if alike else (*WHO, *BESIDE):
            answer = _ask(world, who, method, _address(name, known[name], world, who))
            wanted = expected[BESIDE.get(who, who)]
            if answer != wanted:
                wrong.append(f"{name} {method} for {who}: {answer}, not {wanted}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.walk
@pytest.mark.slow
def test_a_method_without_a_row_is_not_served(world):
    table, wrong = rows(TABLE), []
    for name, pattern in routes():
        for method in ("GET", "POST"):
            # Pages of the admin sites take a POST for a GET; what lists do with one is tested with each site.
            if (name, method) not in table and not name.startswith(("staff:", "owners:")):
                answer = _ask(world, "owner", method, _address(name, pattern, world, "owner"))
                wrong += [] if answer == "405" else [f"{name} {method}: {answer}"]
    assert not wrong, "\n".join(wrong)


def _session_of(user):
    client = Client()
    if user:
        client.force_login(user)
    return client.session


@pytest.mark.walk
def test_every_line_is_open_to_whom_the_table_says(world):
    for pattern in websocket_urlpatterns:
        expected = rows(LINES)[str(pattern.pattern), "WS"]
        for who in WHO:
            known = _arguments(world, who)
            consumer = pattern.callback.consumer_class()
            consumer.scope = {
                "session": _session_of(world["people"][who]),
                "url_route": {"kwargs": {name: known[name] for name in pattern.pattern.converters}},
            }
            assert str(consumer._refusal() or "open") == expected[who], f"{pattern.pattern} for {who}"


def test_writing_in_a_get_would_be_noticed(world):
    with pytest.raises(AssertionError, match="a GET wrote"), no_writes(), connection.cursor() as cursor:
        cursor.execute("UPDATE projects_project SET name = 'x'")
