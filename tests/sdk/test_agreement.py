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
    "ChangeOut": "Change",
    "ChargeOut": "Charge",
    "ComputeOut": "Compute",
    "ContentOut": "Content",
    "DatastoreOut": "DatastoreFacts",
    "DatastoreUserOut": "DatastoreUser",
    "DoubtOut": "Doubt",
    "EntryOut": "AuditEntry",
    "GpusOut": "Gpus",
    "HostOut": "Host",
    "NestedOut": "NestedTeam",
    "NewRoleKeyOut": "RoleKey",
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
    "ImportOut": "ImportFacts",
    "InstallationOut": "Installation",
    "InvitationOut": "Invitation",
    "JoinedOut": "Ref",
    "JobItem": "JobFacts",
    "JobOut": "JobFacts",
    "KeyFieldOut": "KeyField",
    "KeyTestOut": "KeyTest",
    "KeyOut": "ThirdPartyKey",
    "KeyTypeOut": "KeyType",
    "LevelsOut": "Levels",
    "LogOut": "Log",
    "MatchOut": "Match",
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
    "RoleHolderOut": "RoleMember",
    "RoleOut": "RoleFacts",
    "RoleRef": "Ref",
    "RuleOut": "Rule",
    "TeamMemberOut": "TeamMember",
    "TeamOut": "TeamFacts",
    "TokenOut": "TokenFacts",
    "TransferOut": "Transfer",
    "UserOut": "UserFacts",
    "VersionOut": "VersionFacts",
    "VolumeContentOut": "Content",
}
# Read by verbs that hand on something else, or of no use to who has the bytes.
READ = {"FoundOut", "HoldersOut", "LinesOut", "VerifyOut", "FolderOut"}


@pytest.fixture(scope="module")
def document() -> Any:
    from mlteam.api import api

    return api.get_openapi_schema()


def test_everything_that_is_told_has_a_type(document):
    told = {name for name in document["components"]["schemas"] if name.endswith(("Out", "Ref"))}
    assert told - set(NAMES) - READ == set()
    assert set(NAMES) - set(document["components"]["schemas"]) == set()


@pytest.mark.parametrize(("told", "ours"), NAMES.items())
def test_every_field_has_its_type(document, told, ours):
    from mlteam_sdk import models

    known = {field.alias or key for key, field in getattr(models, ours).model_fields.items()}
    assert set(document["components"]["schemas"][told]["properties"]) - known == set()


def addresses(document: Any) -> set[tuple[str, str]]:
    """What the document knows, with * for what differs."""
    return {
        (re.sub(r"{\w+}", "*", path).removeprefix("/api/v1"), method)
        for path, methods in document["paths"].items()
        for method in methods
    }


def test_jobs_are_asked_for_where_they_are(document):
    """The addresses that the SDK's job verbs ask, against those of the document."""
    asked = {
        ("/jobs", "get"),
        ("/jobs/*", "get"),
        ("/jobs/*", "delete"),
        ("/jobs/*/stop", "post"),
        ("/jobs/*/store", "post"),
        ("/jobs/*/history", "get"),
        ("/jobs/*/attempts/*/log", "get"),
        ("/jobs/*/attempts/*/log/events", "get"),
        ("/jobs/*/attempts/*/log/search", "get"),
        ("/jobs/*/artifacts", "get"),
        ("/jobs/*/artifacts.zip", "get"),
        ("/jobs/*/artifacts/files/*", "get"),
        ("/jobs/*/verify", "get"),
        ("/projects/*/jobs", "post"),
        ("/projects/*/jobs/with-files", "post"),
        ("/projects/*/jobs/check", "post"),
    }
    assert asked - addresses(document) == set()


def test_datastores_are_asked_for_where_they_are(document):
    asked = {
        ("/datastores", "get"),
        ("/projects/*/datastores", "post"),
        ("/datastores/*", "get"),
        ("/datastores/*", "patch"),
        ("/datastores/*", "delete"),
        ("/datastores/*/versions", "get"),
        ("/datastores/*/versions/*", "get"),
        ("/datastores/*/versions/*/content", "get"),
        ("/datastores/*/versions/*/doubts", "post"),
        ("/datastores/*/versions/*/manifest", "get"),
        ("/datastores/*/versions/*/files/*", "get"),
        ("/datastores/*/versions/*/pack", "post"),
        ("/datastores/*/versions/*/archive", "get"),
        ("/datastores/*/compare", "get"),
        ("/datastores/*/content", "get"),
        ("/datastores/*/content", "delete"),
        ("/datastores/*/folders", "post"),
        ("/datastores/*/users", "get"),
        ("/datastores/*/listing", "get"),
        ("/datastores/*/pack", "post"),
        ("/datastores/*/archive", "get"),
        ("/datastores/*/imports", "get"),
        ("/datastores/*/imports", "post"),
        ("/imports/*", "get"),
        ("/imports/*/stop", "post"),
        ("/imports/*/again", "post"),
        ("/uploads/*/missing", "get"),
        ("/uploads/*/commit", "post"),
    }
    assert asked - addresses(document) == set()
