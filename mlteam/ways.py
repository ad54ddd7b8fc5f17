"""What every page and every form is to a program: the operation of the API, and the command that asks it.

A page is found by the name of its route, a form by the name that `{% as_program %}` says in it; `mlteam.copy_as` writes the texts.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from accounts import wishes
from projects.third_party_types import TYPES, Type

Sent = dict[str, Any]  # field of the body -> field of the form, or such a dict again


@dataclass(frozen=True, eq=False)
class Way:
    """What a page or form is to a program. `{project}` and the like are the ids of what the page is about, `[[name]]` a blank.

    `path`: the operation. Where the command is "" it is the one that asks any operation.
    """

    path: str
    command: str = ""
    method: str = "GET"
    sent: Sent = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)  # parameter of the page -> that of the operation
    title: str = "This page"


def _same(*names: str) -> Sent:
    return {name: name for name in names}


_job = {"mine": "mine", "state": "state", "q": "q"}
_trail = {"by": "by", "action": "action", "since": "from", "until": "to", "q": "q"}
PAGES: Final = {
    "jobs:list": Way("/jobs?project={project}", "job ls --global --project {project}", query=_job),
    "jobs:detail": Way("/jobs/{job}", "job get {job}"),
    "jobs:artifacts": Way("/jobs/{job}/artifacts", "job artifacts {job}"),
    "jobs:spec": Way("/jobs/{job}?fields=spec", "job get {job} --field spec_yaml"),
    "jobs:history": Way("/jobs/{job}/history"),
    "datastores:list": Way(
        "/datastores?project={project}",
        "data ls --global --project {project}",
        query={"mine": "mine", "kind": "kind", "q": "q"},
    ),
    "datastores:detail": Way("/datastores/{datastore}", "data get {datastore}"),
    "datastores:upload": Way("/datastores/{datastore}", "data get {datastore}"),
    "datastores:volume_show": Way("/datastores/{datastore}/content", "data content ls {datastore}"),
    "datastores:version": Way(
        "/datastores/{datastore}/versions/{version}/content",
        "data content ls {datastore}@{version}",
        query={"path": "path"},
    ),
    "datastores:show": Way("/datastores/{datastore}/versions/{version}"),
    "datastores:compare": Way("/datastores/{datastore}/versions", "data versions {datastore}"),
    "projects:list": Way("/projects", "project ls", query={"q": "q"}),
    "projects:members": Way("/projects/{project}/members", "project members {project}", query={"q": "q"}),
    "projects:access": Way("/rules?project={project}", "rule ls --in {project}"),
    "projects:roles": Way("/projects/{project}/roles", "project role ls {project}"),
    "projects:role": Way("/roles/{role}/members", "role member ls {role}"),
    "projects:team_roles": Way("/teams/{team}/roles", "team role ls {team}"),
    "projects:installation_roles": Way("/installation/roles", "organization role ls"),
    "projects:keys": Way("/projects/{project}/keys", "key ls --project {project}"),
    "projects:audit": Way("/projects/{project}/audit", query=_trail),
    "projects:settings": Way("/projects/{project}", "project get {project}"),
    "projects:ownership": Way("/projects/{project}", "project get {project}"),
    "projects:rules": Way("/rules", "rule ls"),
    "billing:mine": Way("/me/usage", query={"month": "month", "view": "view"}),
    "billing:project": Way("/projects/{project}/usage", query={"month": "month", "member": "member"}),
    "billing:budgets": Way("/projects/{project}/budgets"),
    "teams:list": Way("/teams", "team ls", query={"q": "q"}),
    "teams:detail": Way("/teams/{team}/members", "team {team}", query={"q": "q"}),
    "profile": Way("/me", "whoami"),
    "account_emails": Way("/me?fields=emails"),
    "tokens": Way("/me/tokens"),
    "admins": Way("/roles/admin/members", "organization role member ls admin"),
}

_levels = {"levels": _same("job", "dataset", "model", "volume")}
_level_flags = "".join(f" --level {kind}=[[{kind}]]" for kind in _levels["levels"])


def _new(title: str, path: str, sent: Sent | None = None, command: str = "") -> Way:
    return Way(path, command, "POST", sent or {}, title=title)


def _set(title: str, path: str, sent: Sent) -> Way:
    return Way(path, method="PATCH", sent=sent, title=title)


def _remove(title: str, path: str, command: str = "") -> Way:
    return Way(path, command, "DELETE", title=title)


_described: Sent = {"description": "description="}
_quota: Sent = {"quota": "quota:GiB="}
_copied_keys: Sent = {"copy_keys": "copy_keys=false"}  # the form of the owners' site has no such box

FORMS: Final[dict[str, Way]] = {
    "jobs:stop": _new("Stop the job", "/jobs/{job}/stop", command="job kill {job}"),
    "jobs:store": _new("Store the output again", "/jobs/{job}/store", command="job store {job}"),
    "jobs:remove": _remove("Remove the job", "/jobs/{job}", "job rm {job} --yes"),
    "datastores:new": _new(
        "New dataset, model or volume",
        "/projects/{project}/datastores",
        _same("kind", "name") | _described | {"address": "address=", "key": "key=", "unpack": "unpack"} | _quota,
        "data new --project {project} --kind=[[kind]] --description=[[description=]] --quota=[[quota:GiB=]]"
        " --from=[[address=]] --key=[[key=]][[unpack:--no-unpack]] -- [[name]]",
    ),
    "datastores:import": _new(
        "Fetch from an address",
        "/datastores/{datastore}/imports",
        _same("address", "unpack") | {"key": "key=", "note": "note="},
    ),
    "datastores:import_stop": _new("Stop fetching", "/imports/[[import]]/stop", command="data import stop [[import]]"),
    "datastores:import_again": _new("Try again", "/imports/[[import]]/again", command="data import again [[import]]"),
    "datastores:edit": _set("Rename or describe", "/datastores/{datastore}", {"name": "name"} | _described),
    "datastores:edit_volume": _set(
        "Rename, describe or resize", "/datastores/{datastore}", {"name": "name"} | _described | _quota
    ),
    "datastores:new_folder": _new(
        "Make a folder", "/datastores/{datastore}/folders", _same("path"), "data content mkdir -- {datastore} [[path]]"
    ),
    "datastores:remove_content": _remove(
        "Remove from the volume",
        "/datastores/{datastore}/content?path=[[path]]",
        "data content rm -- {datastore} [[path]]",
    ),
    "datastores:abandon": _remove("Abandon an upload", "/uploads/[[upload]]"),
    "datastores:remove": _remove("Remove it", "/datastores/{datastore}", "data rm {datastore} --yes"),
    "projects:new": _new("New project", "/projects", _same("name") | _copied_keys),
    "projects:new_in": _new("New project", "/projects", _same("name", "parent") | _copied_keys),
    "projects:settings": _set("Rename or lend", "/projects/{project}", _same("name", "lends_data")),
    "projects:remove": _remove(
        "Remove the project", "/projects/{project}?confirm=[[confirm]]", "project rm {project} --yes"
    ),
    "projects:leave": _new("Leave", "/projects/{project}/leave", command="project leave {project} --yes"),
    "projects:invite": _new(
        "Invite someone",
        "/projects/{project}/invitations",
        _same("email") | _levels,
        f"project invite{_level_flags} -- [[email]] {{project}}",
    ),
    "projects:invitation_resend": _new(
        "Send an invitation again", "/projects/{project}/invitations/[[invitation]]/send"
    ),
    "projects:invitation_revoke": _remove("Revoke an invitation", "/projects/{project}/invitations/[[invitation]]"),
    "projects:member_set": _set("Change a member's levels", "/projects/{project}/members/[[user]]", _levels),
    "projects:member_remove": _remove("Remove a member", "/projects/{project}/members/[[user]]"),
    "projects:team_add": _new("Add a team", "/projects/{project}/teams", _same("team", "preset")),
    "projects:team_add_levels": _new("Add a team", "/projects/{project}/teams", _same("team") | _levels),
    "projects:team_set": _set("Change a team's levels", "/projects/{project}/teams/[[team]]", _levels),
    "projects:team_remove": _remove("Remove a team", "/projects/{project}/teams/[[team]]"),
    "projects:ownership_offer": _new("Make somebody the owner", "/projects/{project}/offer", _same("user")),
    "projects:ownership_withdraw": _remove("Take the offer back", "/projects/{project}/offer"),
    "projects:ownership_accept": _new("Accept", "/projects/{project}/offer/accept"),
    "projects:ownership_decline": _new("Decline", "/projects/{project}/offer/decline"),
    "projects:access": Way(
        "/rules/allowed?action=[[action]]&urn=[[resource]]&user=[[person=]]",
        "rule allowed [[action]]@[[resource]] --user [[person=me]]",
        title="Ask",
    ),
    "projects:roles": _new("New role", "/projects/{project}/roles", _same("name")),
    "projects:team_roles": _new("New role", "/teams/{team}/roles", _same("name")),
    "projects:installation_roles": _new("New role", "/installation/roles", _same("name")),
    "projects:role_remove": _remove("Remove the role", "/roles/{role}", "role rm {role} --yes"),
    "projects:role_policy_add": _new(
        "Attach a policy", "/roles/{role}/policies", _same("text"), "role policy new -- {role} [[text]]"
    ),
    "projects:team_policy_add": _new(
        "Attach a policy", "/teams/{team}/policies", _same("text"), "team policy new -- {team} [[text]]"
    ),
    "projects:user_policy_add": _new(
        "Attach a policy", "/users/[[username]]/policies", _same("text"), "user policy new -- [[username]] [[text]]"
    ),
    "projects:policy_remove": _remove("Take a policy away", "/policies/[[policy]]", "role policy rm [[policy]]"),
    "projects:role_member_add": _new(
        "Give it to", "/roles/{role}/members", {"[[kind]]": "name"}, "role member add {role} --[[kind]] [[name]]"
    ),
    "projects:role_member_remove": _remove(
        "Take it from somebody", "/roles/{role}/members/[[member]]", "role member rm {role} --[[kind]] [[member]]"
    ),
    "projects:role_key_add": _new(
        "New key", "/roles/{role}/keys", _same("name"), "role key new {role} --name=[[name]]"
    ),
    "projects:role_key_remove": _remove("Revoke a key", "/roles/{role}/keys/[[key]]", "role key rm {role} [[key]]"),
    "projects:key_test": _new(
        "Test a key",
        "/projects/{project}/keys/[[third_party_key]]/test",
        command="key test [[third_party_key]] --project {project}",
    ),
    "projects:key_remove": _remove(
        "Remove a key",
        "/projects/{project}/keys/[[third_party_key]]",
        "key rm [[third_party_key]] --project {project} --yes",
    ),
    "billing:budgets": Way(
        "/projects/{project}/budgets/[[member=project]]",
        method="PUT",
        sent=_same("amount", "when_full"),
        title="Set a budget",
    ),
    "billing:budget_remove": _remove("Lift a budget", "/projects/{project}/budgets/[[member=project]]"),
    "teams:new": _new("New team", "/teams", _same("name")),
    "teams:rename": _set("Rename", "/teams/{team}", _same("name")),
    "teams:remove": _remove("Remove the team", "/teams/{team}"),
    "teams:leave": _new("Leave", "/teams/{team}/leave"),
    "teams:user_add": _new("Add someone", "/teams/{team}/members", {"user": "username", "role": "role"}),
    "teams:user_set": _set("Change somebody's role", "/teams/{team}/members/[[user]]", _same("role")),
    "teams:user_remove": _remove("Remove somebody", "/teams/{team}/members/[[user]]"),
    "teams:team_add": _new("Put a team in", "/teams/{team}/teams", _same("team")),
    "teams:team_remove": _remove("Take a team out", "/teams/{team}/teams/[[inner]]"),
    "teams:invitation_resend": _new("Send an invitation again", "/teams/{team}/invitations/[[invitation]]/send"),
    "teams:invitation_revoke": _remove("Revoke an invitation", "/teams/{team}/invitations/[[invitation]]"),
    "profile": _set("Change the profile", "/me", _same("name", "username", "time_zone", "theme")),
    "account_emails": _set("Choose emails", "/me", {"emails": _same(*wishes.KINDS)}),
    "token_revoke": _remove("Revoke a token", "/me/tokens/[[token]]"),
    "admin_add": _new("Make somebody an admin", "/roles/admin/members", {"user": "username"}),
    "admin_remove": _remove("Make an admin a user", "/roles/admin/members/[[user]]"),
}


_THIS_KEY: Final = "[[third_party_key]]"


def _key_fields(kind: Type) -> Sent:
    """What is no secret is filled from the form; a secret stays a blank of a name that no form has."""
    asked = [one for one in kind.fields if not one.aside]
    needed = {one.name: one.name if one.required and not one.default else f"{one.name}=" for one in asked}
    return {one.name: f"your_{one.name}" if one.secret else needed[one.name] for one in asked}


def _key_command(verb: str, which: str, kind: Type) -> str:
    sent = _key_fields(kind)
    secret = next(one.name for one in kind.fields if one.secret)
    plain = "".join(f" --with {name}=[[{blank}]]" for name, blank in sent.items() if not blank.startswith("your_"))
    return f"key {verb} --project {{project}}{plain} --from {secret}=[[file_with_it]] -- {which}"


def _key_forms(kind: Type) -> dict[str, Way]:
    """Adding and replacing keys of one type."""
    new: Sent = {"name": "name", "type": f"type={kind.name}", "fields": _key_fields(kind)}
    add = _key_command("new", f"{kind.name} [[name]]", kind)
    change = _key_command("set", _THIS_KEY, kind)
    fields: Sent = {"fields": _key_fields(kind)}
    return {
        f"projects:key_add_{kind.name}": _new("Save the key", "/projects/{project}/keys", new, add),
        f"projects:key_replace_{kind.name}": Way(
            f"/projects/{{project}}/keys/{_THIS_KEY}", change, "PUT", fields, title="Replace the key"
        ),
    }


for _kind in TYPES.values():
    FORMS.update(_key_forms(_kind))

# Of the owners' site, by its models: what their lists and rows are to a program, and which of FORMS its forms are.
_owners = {
    "projects_project": PAGES["projects:list"],
    "projects_member": PAGES["projects:members"],
    "projects_teammember": Way("/projects/{project}/teams"),
    "projects_invitation": Way("/projects/{project}/invitations"),
    "projects_thirdpartykey": PAGES["projects:keys"],
    "projects_auditentry": PAGES["projects:audit"],
    "billing_budget": PAGES["billing:budgets"],
    "billing_charge": Way("/projects/{project}/charges"),
}
_rows = ("changelist", "add", "change", "delete", "history")
OWNERS: Final = {
    f"owners:{model}_{page}": replace(way, query={}) for model, way in _owners.items() for page in _rows
} | {
    "owners:index": PAGES["projects:list"],
    "owners:projects_project_change": PAGES["projects:settings"],
}
OWNERS_FORMS: Final = {
    "owners:projects_project_add": "projects:new",
    "owners:projects_project_change": "projects:settings",
    "owners:projects_member_change": "projects:member_set",
    "owners:projects_member_delete": "projects:member_remove",
    "owners:projects_teammember_add": "projects:team_add_levels",
    "owners:projects_teammember_change": "projects:team_set",
    "owners:projects_teammember_delete": "projects:team_remove",
    "owners:projects_invitation_add": "projects:invite",
    "owners:billing_budget_add": "billing:budgets",
    "owners:billing_budget_change": "billing:budgets",
    "owners:billing_budget_delete": "billing:budget_remove",
}
