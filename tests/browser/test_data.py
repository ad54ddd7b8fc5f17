"""Data in the browser: a folder is sent, cut off and sent on, given to a job, and what the job made of it is taken home."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import Watch
from tests.browser.hands import expect_state
from tests.browser.test_pages import look_at
from tests.datastores import names

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "bwrap", "slirp4netns")]

MIB = 2**20
LARGE = 9 * MIB + 1  # bytes: more than one piece
MANY = 300
TRAIN = """
import hashlib, os
from pathlib import Path

files = sorted(path for path in Path("/data/cats").rglob("*") if path.is_file())
model = "\\n".join(f"{path.relative_to('/data/cats')} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
Path(os.environ["MLTEAM_OUTPUT"], "model.txt").write_text(model)
"""

JOB = b"""
name: of cats
command: python3 /data/cats/train.py
output: [{to: "model:cat-finder"}]
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: many small files, names in other alphabets, an empty file, a large one, what is
    ignored, and a name that no version can have."""
    root = tmp_path_factory.mktemp("somewhere") / "photos"
    (root / "many").mkdir(parents=True)
    (root / "ä ß").mkdir()
    for number in range(MANY):
        (root / "many" / f"{number}.txt").write_text(f"text {number}")
    (root / "ä ß" / "猫.txt").write_text("a cat")
    (root / "empty").touch()
    (root / "twice.bin").write_bytes(b"text 1")
    (root / "large.bin").write_bytes(os.urandom(LARGE))
    (root / "bad\nname").write_text("x")
    (root / "train.py").write_text(TRAIN)
    (root / ".mlteamignore").write_text("*.tmp\n.mlteamignore\n/work/\n")
    (root / "many" / "half.tmp").write_text("x")
    (root / "work").mkdir()
    (root / "work" / "kept.txt").write_text("x")
    return root


def create(page: Page, kind: str, name: str) -> None:
    page.goto("/p/vision/data/new")
    page.get_by_label(kind, exact=True).check()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Description").fill("Of **cats**")
    expect(page.get_by_label("How it looks").get_by_text("cats")).to_have_css("font-weight", "600")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def ready(page: Page) -> None:
    """The page's scripts are there: what is dropped before is lost."""
    expect(page.locator("[data-uploader]")).to_have_attribute("data-state", "empty")


def choose(page: Page, folder: Path) -> None:
    page.get_by_label("A folder").set_input_files(folder)
    expect(page.locator("[data-part=summary]")).to_have_text(re.compile(rf"^{MANY + 5} files, 9\.0 MiB from photos$"))
    expect(page.locator("[data-part=left-out]")).to_contain_text("4 left out")
    expect(page.locator("[data-part=left-out]")).to_contain_text("control character")
    expect(page.locator("[data-part=left-out]")).to_contain_text("work/kept.txt: .mlteamignore names it")


def drop(page: Page, *paths: Path) -> None:
    """As from a file manager."""
    ready(page)
    box = page.get_by_text("Drop a folder or files here").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 9, "y": box["y"] + 9, "data": data})


def test_a_folder_is_sent_given_to_a_job_and_its_model_taken_home(
    page_of: Callable[..., Page], watch: Watch, photos: Path, tmp_path: Path
) -> None:
    watch.expect("Failed to load resource: net::ERR_")
    page = page_of("grace")
    create(page, "Dataset", "cats")
    address = page.url
    _send_until_the_large_one_hangs(page, photos)
    page.reload()
    _go_on(page, photos)
    expect(page.get_by_role("heading", name="Version 1", exact=True)).to_be_visible()
    _add_a_file(page, tmp_path)
    page.goto("/p/vision/jobs/new")
    late: list[Route] = []
    page.route("**/js/form*.js", lambda route: late.append(route), times=1)
    page.get_by_label("From a job.yml").set_input_files({"name": "job.yml", "mimeType": "text/yaml", "buffer": JOB})
    expect(page.get_by_label("Command")).to_have_value("python3 /data/cats/train.py")
    page.get_by_role("button", name=re.compile(r"^cats \(")).click()
    page.get_by_role("button", name="Submit").click()
    late.pop().continue_()
    expect_state(page, "succeeded")
    taken = _take_home(page)
    assert len(taken) == MANY + 6
    assert set(taken) >= {"ä ß/猫.txt", "empty", "many/0.txt", "more.txt"}
    page.goto(address)
    look_at(page)


# Whoever only looks now and then may miss what is said for a second.
REMEMBER = """node => {
  window.said = [];
  new MutationObserver(() => window.said.push(node.textContent)).observe(node, { childList: true, subtree: true, characterData: true });
}"""


def _send_until_the_large_one_hangs(page: Page, photos: Path) -> None:
    cut: list[str] = []

    def once(route, request) -> None:  # type: ignore[no-untyped-def]
        """The first pack is cut off, and of the large file nothing arrives."""
        if "/pack" in request.url and not cut:
            cut.append(request.url)
            route.abort("connectionreset")
        elif "/pack" in request.url:
            route.continue_()

    page.route("**/api/v1/uploads/**", once)
    page.route("**/missing", lambda route: route.continue_())
    choose(page, photos)
    page.locator("[data-part=status]").evaluate(REMEMBER)
    with page.expect_response(lambda response: "/pack" in response.url and response.ok):
        page.get_by_role("button", name="Upload as version 1").click()
    assert any("Trying again in 1 s; what has arrived stays." in said for said in page.evaluate("window.said"))
    expect(page.locator("[data-part=status]")).to_contain_text(f"{MANY + 3} of {MANY + 4} files")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-part=status]")).to_contain_text("Paused")
    page.unroute_all()


def _go_on(page: Page, photos: Path) -> None:
    """What has arrived is not sent again."""
    packs: list[str] = []

    def note(request: Request) -> None:
        if "/pack" in request.url:
            packs.append(request.url)

    page.on("request", note)
    expect(page.get_by_text(f"You began to send {MANY + 5} files")).to_be_visible()
    choose(page, photos)
    page.get_by_label("Note").fill("from my camera")
    page.get_by_role("button", name="Upload as version 1").click()
    expect(page.get_by_text("version 1: from my camera")).to_be_visible()
    assert not packs


def _add_a_file(page: Page, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("one more")
    page.get_by_role("link", name="New version").click()
    look_at(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    drop(page, tmp_path / "more.txt")
    page.get_by_label("these beside those of version 1").check()
    page.get_by_role("button", name="Upload as version 2").click()
    expect(page.get_by_role("heading", name="Version 2", exact=True)).to_be_visible()
    expect(page.get_by_text(f"{MANY + 6} files").first).to_be_visible()


def _take_home(page: Page) -> dict[str, str]:
    """What the model says: of each file that the job saw, its hash."""
    page.goto("/p/vision/data")
    page.get_by_role("link", name="cat-finder").click()
    page.get_by_role("link", name="model.txt").click()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    lines = started.value.path().read_text().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def test_what_is_done_before_the_scripts_are_there_is_done_then(page_of: Callable[..., Page], tmp_path: Path) -> None:
    (tmp_path / "early.txt").write_text("early")
    page, waiting = page_of("grace"), list[Route]()
    create(page, "Dataset", "early")
    page.context.grant_permissions(["clipboard-write"])  # which a click gives for some seconds
    page.route("**/js/app*.js", lambda route: waiting.append(route), times=1)
    page.reload(wait_until="commit")
    page.get_by_label("Files", exact=True).set_input_files(tmp_path / "early.txt")
    page.get_by_role("button", name="Copy the command").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("1 file, 5 B")).to_be_hidden()
    waiting.pop().continue_()
    expect(page.locator("#announcer")).to_have_text("Copied")
    expect(page.get_by_role("dialog")).to_contain_text("Remove early?")
    page.get_by_role("dialog").get_by_role("link", name="Keep").click()
    expect(page.get_by_text("1 file, 5 B")).to_be_visible()


def test_what_is_chosen_of_a_list_before_its_script_is_there_counts(page_of: Callable[..., Page]) -> None:
    page, late = page_of("ada"), list[Route]()
    page.route("**/js/form*.js", lambda route: late.append(route), times=1)
    with page.expect_request("**/js/form*.js"):
        page.goto("/p/vision/members", wait_until="commit")
    invitation = page.locator("form[data-presets]").last
    invitation.get_by_label("Preset").select_option("Viewer")
    late.pop().continue_()
    expect(invitation.locator("select[name=job]")).to_have_value("read")


def test_a_file_that_changes_after_it_was_chosen_is_named(page_of: Callable[..., Page], tmp_path: Path) -> None:
    page = page_of("grace")
    create(page, "Dataset", "changing")
    for name in ("stays.txt", "changes.txt"):
        (tmp_path / name).write_text(name)
    page.get_by_label("Files", exact=True).set_input_files([tmp_path / "stays.txt", tmp_path / "changes.txt"])
    (tmp_path / "changes.txt").write_text("something else, and longer")
    page.get_by_role("button", name="Upload as version 1").click()
    expect(page.get_by_role("alert")).to_contain_text("1 file changed or went away since you chose them")
    page.get_by_text("1 left out").click()
    expect(page.get_by_role("listitem").filter(has_text="changes.txt")).to_contain_text("it has changed or is gone")
    page.get_by_role("button", name="Upload as version 1").click()
    expect(page.get_by_role("link", name="stays.txt")).to_be_visible()


def test_a_volume_is_filled_and_emptied(page_of: Callable[..., Page], tmp_path: Path) -> None:
    page = page_of("grace")
    (tmp_path / "runs" / "ä ß").mkdir(parents=True)
    (tmp_path / "runs" / "ä ß" / "猫.txt").write_text("a cat")
    create(page, "Volume", "scratch")
    page.get_by_label("New folder").fill("deep/er")
    page.get_by_role("button", name="Make folder").click()
    expect(page.get_by_text("This folder is empty")).to_be_visible()
    page.get_by_role("link", name="Upload").click()
    drop(page, tmp_path / "runs", tmp_path / "runs" / "ä ß" / "猫.txt")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_role("link", name="runs/").click()
    page.get_by_role("link", name="ä ß/").click()
    page.get_by_role("link", name="猫.txt").click()
    expect(page.get_by_role("region", name="猫.txt")).to_have_text("a cat")
    page.get_by_role("link", name="deep", exact=True).click()
    look_at(page)
    page.get_by_role("button", name="Remove er").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("This folder is empty")).to_be_visible()
    page.get_by_role("link", name="scratch").click()
    page.get_by_role("button", name="Remove all content").click()
    page.get_by_label("Type scratch to confirm").fill("scratch")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There is nothing in it yet")).to_be_visible()


def test_a_large_file_is_hashed_piece_by_piece_as_the_browser_itself_would(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    create(page, "Dataset", "hashed")
    script = """async (sizes) => {
      const worker = new Worker(document.querySelector("[data-worker]").dataset.worker);
      const wrong = [];
      const all = Uint8Array.from({ length: 2 ** 16 }, (_, at) => at * 7 + (at >> 9));
      for (const size of sizes) {
        const bytes = new Uint8Array(size);
        for (let at = 0; at < size; at += all.length) bytes.set(all.subarray(0, size - at), at);
        const own = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        const said = await new Promise((resolve) => {
          worker.onmessage = ({ data }) => { if (!("read" in data)) resolve(data); };
          worker.postMessage({ file: new Blob([bytes]) });
        });
        if (said.sha256 !== Array.from(own, (byte) => byte.toString(16).padStart(2, "0")).join("")) wrong.push(size);
      }
      return wrong;
    }"""
    assert page.evaluate(script, [0, 1, 16 * MIB, 16 * MIB + 1, 16 * MIB + 56]) == []


def test_a_program_that_is_replaced_stays_one(page_of: Callable[..., Page]) -> None:
    page = page_of("grace")
    page.goto("/")
    script = """async () => {
      const { Sending } = await import("/static/js/sending.js");
      const base = [{ path: "run.sh", sha256: "a", size: 1, mode: 0o755 }, { path: "kept", sha256: "b", size: 1, mode: 0o755 }];
      const files = ["run.sh", "new.sh"].map((path) => ({ path, sha256: "c", file: new Blob(["x"]) }));
      const lines = new Sending({ files, base }).manifest().trim().split("\\n").map((line) => JSON.parse(line));
      return Object.fromEntries(lines.map((line) => [line.path, line.mode]));
    }"""
    assert page.evaluate(script) == {"kept": 0o755, "run.sh": 0o755, "new.sh": 0o644}


@pytest.mark.parametrize("kind", ["Dataset", "Volume"])
def test_files_of_every_name_are_sent_and_seen(page_of: Callable[..., Page], tmp_path: Path, kind: str) -> None:
    files = names.write_all(tmp_path / "named")
    page = page_of("grace")
    create(page, kind, f"named {kind}")
    page.get_by_label("A folder").set_input_files(tmp_path / "named")
    expect(page.locator("[data-part=summary]")).to_have_text(re.compile(rf"^{len(files)} files, "))
    expect(page.locator("[data-part=left-out]")).to_be_hidden()
    page.locator("[data-part=begin]").click()
    expect(page.locator(".list a.mono").first).to_be_visible()
    address = page.url
    for name, content in files.items() if kind == "Dataset" else ():
        page.goto(address)
        *folders, last = name.split("/")
        for shown in (*(f"{folder}/" for folder in folders), last):
            page.locator(".list a.mono", has_text=re.compile(f"^{re.escape(shown)}$")).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(last, use_inner_text=False)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.path().read_bytes() == content, name
    if kind == "Volume":
        page.goto(address)
        for name in ("readme.md", "Grüße.txt", "100% #1?&=+;.txt"):
            page.get_by_role("button", name=f"Remove {name}", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Remove").click()
            expect(page.get_by_text(f"{name} is gone.")).to_be_visible()
        expect(page.get_by_role("link", name="README.md", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="Gru\u0308ße.txt", exact=True)).to_be_visible()
