"""Projects, members, teams, invitations and the audit trail in the owners' admin site."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from access.sites import ActionForm, become
from projects import actions, links, ownership, team_members, trail
from projects.forms import KIND_LABELS
from projects.levels import DEFAULT_PRESET, KINDS, PRESETS, TEAM_PRESET, Level, Levels, levels_of, preset_of
from projects.members import levels_of_user
from projects.models import (
    AuditEntry,
    Invitation,
    Member,
    Project,
    ProjectGroupPermission,
    ProjectUserPermission,
    TeamMember,
    ThirdPartyKey,
)
from projects.owners import Changed, Owned, OwnProject, owners
from teams.forms import TeamField


class ProjectForm(ActionForm):
    """A project's name, and whether its data may be read elsewhere."""

    class Meta:
        model = Project
        fields = ["name", "lends_data"]


@admin.register(Project, site=owners)
class ProjectAdmin(Owned):
    """One's own projects: made and renamed here; removed on a page of theirs, which asks for the name."""

    action = "project:get"
    place = "pk"
    form = ProjectForm
    actions: Any = ["withdraw"]
    list_display = ["name", "slug", "people", "offered_to", "created_at"]
    list_select_related = ["offered_to"]
    search_fields = ["name", "slug"]
    ordering = ["-personal", "name", "pk"]
    readonly_fields = ["slug", "urn", "offered_to", "created_at", "pages"]

    def prepared(self, rows: list[Project]) -> list[Project]:
        counted = Member.objects.filter(project__in=rows).values_list("project").annotate(Count("pk"))
        numbers = dict(counted.order_by())
        for row in rows:
            row.people = numbers.get(row.pk, 0)  # type: ignore[attr-defined]
        return rows

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["name", "lends_data", *self.readonly_fields] if obj else ["name"]

    def has_add_permission(self, request: Any) -> bool:
        return request.user.verified

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.mine(request, obj) and not (obj and obj.personal)

    def save_model(self, request: Any, obj: Project, form: Any, change: bool) -> None:
        name = form.cleaned_data["name"]
        if change:
            actions.edit(project=obj, name=name, lends_data=form.cleaned_data["lends_data"], by=request.user)
        else:
            become(obj, actions.create(name=name, by=request.user))

    @admin.display(description="Members")
    def people(self, project: Project) -> int:
        return project.people  # type: ignore[attr-defined]

    @admin.display(description="Its pages")
    def pages(self, project: Project) -> SafeString:
        names = ["members", "access", "audit", "settings", *(() if project.personal else ("remove",))]
        each = [(reverse(f"projects:{name}", args=[project.slug]), name.capitalize()) for name in names]
        return format_html_join(" · ", '<a href="{}">{}</a>', each)

    @admin.action(description="Take the offer of these projects back", permissions=["change"])
    def withdraw(self, request: Any, queryset: QuerySet) -> None:
        self.attempt(request, queryset, lambda row: ownership.withdraw(project=row, by=request.user), "{} stays yours.")


class LevelsForm(ActionForm):
    """A level for each kind; `levels` has them once the form is valid."""

    default = DEFAULT_PRESET
    job, dataset, model, volume = (forms.ChoiceField(label=label, choices=Level.choices) for _, label in KIND_LABELS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {**self.held(), **self.initial}

    def held(self) -> Levels:
        """What the row has until now; for a new one what is suggested."""
        return PRESETS[self.default]

    @property
    def levels(self) -> Levels:
        return {kind: self.cleaned_data[kind] for kind in KINDS}


class ShareForm(LevelsForm):
    """Levels in a project that one may share."""

    user: Any
    project = forms.ModelChoiceField(Project.objects.none())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "project" in self.fields:
            own = Project.objects.owned_by(self.user, "project:share")
            self.fields["project"].queryset = own.order_by("name", "pk")  # type: ignore[attr-defined]


class MemberForm(LevelsForm):
    def held(self) -> Levels:
        return levels_of_user(self.instance.project, self.instance.user)


class TeamMemberForm(ShareForm):
    default = TEAM_PRESET
    team = TeamField()

    def held(self) -> Levels:
        row = self.instance
        return super().held() if row._state.adding else team_members.levels_of_team(row.project, row.team)


class InvitationForm(ShareForm):
    email = forms.EmailField()


def _with_levels(rows: Sequence[Any], table: Any, holder: str, key: str) -> None:
    """Gives each row its `levels`; one query. `holder`: the table's column; `key`: the row's that it is compared with."""
    held: dict[tuple[str, str], set[str]] = {}
    wanted = {
        "content_object__in": [row.project_id for row in rows],
        f"{holder}__in": [getattr(row, key) for row in rows],
    }
    found = table.objects.filter(**wanted).values_list("content_object_id", holder, "permission__codename")
    for project, one, codename in found:
        held.setdefault((project, one), set()).add(codename)
    for row in rows:
        row.levels = levels_of(held.get((row.project_id, getattr(row, key)), set()))


def _in_words(levels: Levels) -> str:
    return preset_of(levels) or ", ".join(f"{kind}s {levels[kind]}" for kind in KINDS)


class Shared(Changed):
    """Rows that have levels."""

    list_filter = [OwnProject]

    @admin.display(description="Levels")
    def in_words(self, row: Any) -> str:
        return _in_words(row.levels)


@admin.register(Member, site=owners)
class MemberAdmin(Shared):
    """Members: invited elsewhere; their levels are changed here, and they are removed."""

    form = MemberForm
    actions: Any = ["offer"]
    list_display = ["user", "name", "project", "in_words", "joined_at", "invited_by"]
    list_select_related = ["user", "project", "invited_by"]
    search_fields = ["user__username", "user__name", "project__name"]
    ordering = ["project__name", "joined_at", "pk"]
    fields = ["user", "name", "project", "joined_at", "invited_by", *KINDS]
    readonly_fields = ["user", "name", "project", "joined_at", "invited_by"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("user", "project__owner", "invited_by")

    def prepared(self, rows: list[Member]) -> list[Member]:
        _with_levels(rows, ProjectUserPermission, "user_id", "user_id")
        return rows

    @admin.display(description="Name", ordering="user__name")
    def name(self, member: Member) -> str:
        return member.user.shown

    def save_model(self, request: Any, obj: Member, form: Any, change: bool) -> None:
        actions.set_levels(member=obj, levels=form.levels, by=request.user)

    def delete_model(self, request: Any, obj: Member) -> None:
        actions.remove_member(member=obj, by=request.user)

    @admin.action(description="Offer the project to the selected member", permissions=["change"])
    def offer(self, request: Any, queryset: QuerySet) -> None:
        rows = list(queryset)
        if len({row.project_id for row in rows}) < len(rows):
            self.message_user(request, "A project is offered to one member at a time.", messages.ERROR)
            return
        done = "The project is offered: {}."
        self.attempt(request, rows, lambda row: ownership.offer(member=row, by=request.user), done)


@admin.register(TeamMember, site=owners)
class TeamMemberAdmin(Shared):
    """Teams that are members."""

    form = TeamMemberForm
    list_display = ["team", "project", "in_words", "joined_at", "invited_by"]
    search_fields = ["team__name", "team__slug", "project__name"]
    ordering = ["project__name", "joined_at", "pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("team__group", "project__owner", "invited_by")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["project", "team", *(("joined_at", "invited_by") if obj else ()), *KINDS]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["project", "team", "joined_at", "invited_by"] if obj else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return True

    def prepared(self, rows: list[TeamMember]) -> list[TeamMember]:
        for row in rows:
            row.group_id = row.team.group_id  # type: ignore[attr-defined]
        _with_levels(rows, ProjectGroupPermission, "group_id", "group_id")
        return rows

    def save_model(self, request: Any, obj: TeamMember, form: Any, change: bool) -> None:
        if change:
            team_members.set_levels(member=obj, levels=form.levels, by=request.user)
        else:
            project, team = form.cleaned_data["project"], form.cleaned_data["team"]
            become(obj, team_members.add(project=project, team=team, levels=form.levels, by=request.user))

    def delete_model(self, request: Any, obj: TeamMember) -> None:
        team_members.remove(member=obj, by=request.user)


@admin.register(Invitation, site=owners)
class InvitationAdmin(Owned):
    """Invitations: made, sent again and revoked here; they stay to be looked at."""

    form = InvitationForm
    actions: Any = ["send_again", "revoke"]
    list_display = ["email", "project", "in_words", "state", "created_at", "invited_by"]
    list_filter = [OwnProject]
    search_fields = ["email", "project__name"]
    ordering = ["-created_at", "pk"]
    readonly_fields = ["in_words", "state", "invited_by", "created_at", "expires_at", "delivery", "link"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("project__owner", "invited_by")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return ["project", "email", *(self.readonly_fields if obj else KINDS)]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return True

    def save_model(self, request: Any, obj: Invitation, form: Any, change: bool) -> None:
        project, email = form.cleaned_data["project"], form.cleaned_data["email"]
        become(obj, actions.invite(project=project, email=email, levels=form.levels, by=request.user))

    @admin.display(description="Levels")
    def in_words(self, invitation: Invitation) -> str:
        return _in_words(invitation.levels)

    @admin.display(description="State")
    def state(self, invitation: Invitation) -> str:
        if invitation.accepted_at or invitation.revoked_at:
            return "accepted" if invitation.accepted_at else "revoked"
        return "expired" if invitation.expires_at <= timezone.now() else "open"

    @admin.display(description="Link to copy")
    def link(self, invitation: Invitation) -> str:
        """It proves no address, and opens nothing once the invitation is not open."""
        return format_html("<code>{}</code>", links.address_of(invitation, links.COPIED))

    @admin.action(description="Send again, with a new link")
    def send_again(self, request: Any, queryset: QuerySet) -> None:
        self.attempt(request, queryset, lambda row: actions.resend(invitation=row, by=request.user), "Sent again: {}.")

    @admin.action(description="Revoke")
    def revoke(self, request: Any, queryset: QuerySet) -> None:
        self.attempt(request, queryset, lambda row: actions.revoke(invitation=row, by=request.user), "Revoked: {}.")


@admin.register(ThirdPartyKey, site=owners)
class ThirdPartyKeyAdmin(Owned):
    """Third-party keys by name and type; their pages put in, replace and remove them."""

    action = "key:set"
    list_display = ["name", "type", "project", "created_at"]
    list_select_related = ["project"]
    list_filter = [OwnProject, "type"]
    search_fields = ["name", "project__name"]
    ordering = ["project__name", "name", "pk"]
    readonly_fields = ["name", "type", "project", "created_at", "pages"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("project").defer("sealed", "about")

    @admin.display(description="Its page")
    def pages(self, key: ThirdPartyKey) -> SafeString:
        return format_html('<a href="{}">Keys</a>', reverse("projects:keys", args=[key.project.slug]))


@admin.register(AuditEntry, site=owners)
class AuditEntryAdmin(Owned):
    """The audit trail, to look at."""

    action = "project:set"  # in any project of one's own, also the Personal one: see projects.trail.may_see
    list_display = ["at", "who", "said", "changes", "place_name", "origin", "address"]
    list_filter = [OwnProject, "origin", "action", "at"]
    search_fields = ["words"]
    readonly_fields = ["at", "who", "origin", "address", "said", "action", "urn", "changes"]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return (queryset.matching(search_term) if search_term else queryset), False

    def prepared(self, rows: list[AuditEntry]) -> list[AuditEntry]:
        names = dict(Project.objects.filter(pk__in={row.project_id for row in rows}).values_list("pk", "name"))
        for row in rows:
            row.place_name = names.get(row.project_id, "")  # type: ignore[attr-defined]
        return rows

    @admin.display(description="Project")
    def place_name(self, entry: AuditEntry) -> str:
        return entry.place_name  # type: ignore[attr-defined]

    @admin.display(description="Who", ordering="by_name")
    def who(self, entry: AuditEntry) -> str:
        return entry.by_name

    @admin.display(description="What")
    def said(self, entry: AuditEntry) -> str:
        return trail.words_of(entry.action)

    @admin.display(description="Changes")
    def changes(self, entry: AuditEntry) -> str:
        return "; ".join(
            f"{change.field}: {' → '.join(filter(None, (change.before, change.after)))}"
            for change in trail.changes_of(entry)
        )
