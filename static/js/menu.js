// Menus are popovers, which work without this; it adds arrow keys and the state for people who hear the page.

const items = (menu) => [...menu.querySelectorAll(".menu-item")].filter((item) => !item.hidden);

function move(menu, key) {
  const all = items(menu), at = all.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: -1 }[key];
  all.at(next >= all.length ? 0 : next)?.focus();
}

for (const menu of document.querySelectorAll("[popover]")) {
  const button = document.querySelector(`[popovertarget="${menu.id}"]`);
  const enter = () => {
    if (menu.matches(".menu:popover-open")) (menu.querySelector("input[type=search]") ?? menu.querySelector("[aria-current]") ?? items(menu)[0])?.focus();
  };
  menu.addEventListener("toggle", enter);
  enter(); // opened before this script was there
  menu.addEventListener("keydown", (event) => {
    const keys = event.target.matches("input") ? ["ArrowDown", "ArrowUp"] : ["ArrowDown", "ArrowUp", "Home", "End"];
    if (!menu.matches(".menu") || !keys.includes(event.key)) return;
    event.preventDefault();
    move(menu, event.key);
  });
  button?.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || menu.matches(":popover-open")) return;
    event.preventDefault();
    menu.showPopover();
  });
}
