"""The SDK and the API's own description: every field that a server tells has its type here, every address that is asked is there."""

import re
from typing import Any

import pytest

# What the API's document calls it -> what the SDK does.
NAMES = {
    "AmountsOut": "Amounts",
    "ArtifactOut": "Artifact",
    "BalanceOut": "Balance",
    "BudgetOut": "Budget",
    "ChargeOut": "Charge",
    "ComputeOut": "Compute",
    "EntryOut": "AuditEntry",
    "GpusOut": "Gpus",
    "HostOut": "Host",
    "NestedOut": "NestedTeam",
    "OfferOut": "Offer",
    "SumsOut": "Sums",
    "TeamInvitationOut": "Invitation",
    "TeamRef": "Ref",
    "UsageOut": "Usage",
    "UsagePart": "UsagePart",
    "AttemptOut": "Attempt",
    "CheckOut": "Check",
    "DecisionOut": "Decision",
    "HealthOut": "Health",
    "HolderOut": "Holder",
    "HolderRef": "Place",
    "InstallationOut": "Installation",
    "InvitationOut": "Invitation",
    "JobItem": "JobFacts",
    "JobOut": "JobFacts",
    "LevelsOut": "Levels",
    "LogOut": "Log",
    "MeOut": "Me",
    "MemberOut": "Member",
    "MoveOut": "Move",
    "PartOut": "Part",
    "PlaceOut": "Place",
    "PolicyOut": "Policy",
    "ProjectOut": "ProjectFacts",
    "ProjectRef": "ProjectRef",
    "ProjectTeamOut": "ProjectTeam",
    "ResourcesOut": "Resources",
    "RoleKeyOut": "RoleKey",
    "RoleMemberOut": "RoleMember",
    "RoleOut": "RoleFacts",
    "RuleOut": "Rule",
    "TeamMemberOut": "TeamMember",
    "TeamOut": "TeamFacts",
    "TokenOut": "TokenFacts",
    "UserOut": "UserFacts",
}


@pytest.fixture(scope="module")
def document() -> Any:
    from mlteam.api import api

    return api.get_openapi_schema()


def test_every_field_has_its_type(document):
    from mlteam_sdk import models

    untyped = {}
    for name, schema in document["components"]["schemas"].items():
        if name in NAMES:
            kind = getattr(models, NAMES[name])
            known = {field.alias or key for key, field in kind.model_fields.items()}
            untyped[name] = set(schema.get("properties", {})) - known
    assert len(untyped) >= 10
    assert {name: fields for name, fields in untyped.items() if fields} == {}


def test_jobs_are_asked_for_where_they_are(document):
    """The addresses that the SDK's job verbs ask, against those of the document."""
    there = {
        (re.sub(r"{\w+}", "*", path).removeprefix("/api/v1"), method)
        for path, methods in document["paths"].items()
        for method in methods
    }
    asked = {
        ("/jobs", "get"),
        ("/jobs/*", "get"),
        ("/jobs/*", "delete"),
        ("/jobs/*/stop", "post"),
        ("/jobs/*/history", "get"),
        ("/jobs/*/attempts/*/log", "get"),
        ("/jobs/*/attempts/*/log/events", "get"),
        ("/projects/*/jobs", "post"),
        ("/projects/*/jobs/with-files", "post"),
        ("/projects/*/jobs/check", "post"),
    }
    assert asked - there == set()
