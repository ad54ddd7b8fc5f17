"""People, roles and rules from scripts, against a whole server."""

from tests.sdk.test_live import awaited, says, script


def test_a_program_gets_a_role_of_its_own(site):
    text = script(f"""
project = client.projects.get("{site.vision}")
role = project.roles.create("ci")
policy = role.policies.add(f"project:get+job:get@{{project.urn}}+{{project.urn}}:job:*")
member = role.members.add(user="{site.ids["stan"]}")
key = role.keys.add("nightly")
asks = MLTeam(token=key.token, project=project.id)
me = asks.me()
jobs = asks.jobs.list(limit=1)
try:
    asks.jobs.create(command="true")
except Exception as error:
    refused = type(error).__name__
names = [one.name for one in project.roles.list()]
found = client.roles.get(role.id)
said = [me.role.name, refused, "ci" in names, found.place.kind, member.type, policy.text in [p.text for p in role.policies.list()]]
said.append(key.token in repr(key))
said.append([one.token for one in role.keys.list()])
role.keys.remove(key.id)
role.members.remove("{site.ids["stan"]}")
role.policies.remove(policy.id)
said += [len(role.keys.list()), len(role.members.list()), len(role.policies.list())]
role.remove()
asks.close()
print(json.dumps(said))
""")
    assert says(site, "ada", text) == ["ci", "Refused", True, "project", "user", True, False, [None], 0, 0, 0]


def test_rules_say_why_not_and_who_could_help(site):
    text = awaited(f"""
project = await client.projects.get("{site.vision}")
not_ = await client.rules.allowed("job:new", project.urn)
who = await client.rules.holders("job:new", project.urn)
mine = await client.rules.list(project=project.id)
grants, may = [one.username for one in not_.who_can_grant], [one.user.username for one in who]
print(json.dumps([not_.allowed, not_.missing, grants, may, len(mine) > 0]))
""")
    allowed, missing, grants, may, some = says(site, "grace", text)
    assert (allowed, some) == (False, True)
    assert "job:new" in missing
    assert "ada" in grants
    assert "ada" in may and "grace" not in may


def test_the_installation_says_what_it_is(site):
    text = script(
        "print(json.dumps([client.installation().url, client.health().status, client.installation().version]))"
    )
    url, status, version = says(site, "ada", text)
    assert url == site.server.url
    assert status in {"ok", "degraded"}
    assert version


def test_a_project_is_shared(site):
    text = awaited(f"""
project = await client.projects.create("Shared")
sent = await project.invitations.send("grace@example.com", preset="Viewer")
listed = [one.email for one in await project.invitations.list()]
token = sent.link.rstrip("/").rpartition("/")[2]
async with MLTeam(token="{site.tokens["grace"]}") as grace:
    joined = await grace.projects.accept(token)
member = await project.members.set_levels("{site.ids["grace"]}", {{"job": "all", "dataset": "read", "model": "read", "volume": "none"}})
found = {{one.user.username: one.levels.job for one in await project.members.list()}}
offer = await project.offer("{site.ids["grace"]}")
await project.withdraw_offer()
await project.members.remove("{site.ids["grace"]}")
left = [one.user.username for one in await project.members.list()]
actions = [one.action for one in await project.audit.list(limit=50)]
usage = await project.usage()
await project.refresh()
await project.remove(confirm="Shared")
shared = [listed, joined.id == project.id, member.levels.job, found["grace"], offer.user.username]
print(json.dumps([*shared, "grace" in left, len(actions) > 3, usage.by]))
""")
    assert says(site, "ada", text) == [["grace@example.com"], True, "all", "all", "grace", False, True, "member"]


def test_a_team_is_made_and_shares_a_project(site):
    text = script(f"""
team = client.teams.create("Crew")
member = team.members.add("grace")
invited = team.members.add("new@example.com")
team.members.set_role("{site.ids["grace"]}", "admin")
inner = client.teams.create("Inner crew")
team.teams.add(inner.id)
project = client.projects.get("{site.vision}")
shared = project.teams.add(team.id, preset="Viewer")
shared = project.teams.set_levels(team.id, {{"job": "own", "dataset": "read", "model": "read", "volume": "none"}})
said = [member.user.username, type(invited).__name__, shared.levels.job, [one.team.name for one in team.teams.list()]]
said.append(sorted(one.username for one in team.everybody.list()))
said.append([one.team.name for one in project.teams.list()])
project.teams.remove(team.id)
team.teams.remove(inner.id)
team.members.remove("{site.ids["grace"]}")
for one in (team.rename("Crew 2").refresh(), inner):
    one.remove()
print(json.dumps([*said, client.teams.list(q="Crew")]))
""")
    found = says(site, "ada", text)
    assert found == ["grace", "Invitation", "own", ["Inner crew"], ["ada", "grace"], ["Crew"], []]


def test_what_there_is_to_compute_with(site):
    text = script("""
found = client.compute()
print(json.dumps([found.runs_jobs, found.largest.cpu, len(found.hosts), client.balance().amount]))
""")
    assert says(site, "ada", text) == [True, 4.0, 1, None]
