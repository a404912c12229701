// The page as the director makes it says all there is. This script keeps it up to date, and lets
// who may change things do so: each change is shown as a plan first.
"use strict";

document.body.classList.add("scripted");

const live = document.getElementById("live");
const dialog = document.getElementById("dialog");
const mayChange = document.body.hasAttribute("data-may-change");

// How often the page is made anew at the least and at the most, in milliseconds.
const leastPause = 1000, longestPause = 3000;

// same brings a node into the state of another one with as few changes as may be: what has the
// focus keeps it, and what somebody has typed stays.
function same(now, next) {
	if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName || now.id !== next.id) {
		now.replaceWith(next);
		return;
	}
	if (now.nodeType !== Node.ELEMENT_NODE) {
		if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
		return;
	}
	for (const {name} of [...now.attributes]) {
		if (!next.hasAttribute(name)) now.removeAttribute(name);
	}
	for (const {name, value} of next.attributes) {
		if (now.getAttribute(name) !== value) now.setAttribute(name, value);
	}
	const olds = [...now.childNodes], news = [...next.childNodes];
	news.forEach((child, i) => {
		if (i >= olds.length) now.append(child);
		else if (!olds[i].isEqualNode(child)) same(olds[i], child);
	});
	olds.slice(news.length).forEach((child) => child.remove());
}

let asked = 0, waiting = 0, asking = false;

async function renew() {
	clearTimeout(waiting);
	if (asking) return;
	asking = true;
	asked = Date.now();
	try {
		const answer = await fetch(location.pathname + location.search, {cache: "no-store"});
		if (!answer.ok) throw new Error("the director answers " + answer.status);
		const next = new DOMParser().parseFromString(await answer.text(), "text/html");
		for (const id of ["self", "findings", "backends", "work", "directors", "events"]) {
			same(document.getElementById(id), document.adoptNode(next.getElementById(id)));
		}
		document.title = next.title;
		say("");
	} catch (error) {
		say("Not up to date since " + new Date(asked).toLocaleTimeString() + ": " + error.message);
	}
	asking = false;
	later(longestPause);
}

function later(pause) {
	clearTimeout(waiting);
	waiting = setTimeout(() => document.hidden || renew(), pause);
}

function say(text) {
	if (live.textContent !== text) live.textContent = text;
}

// An event asks for a new page soon, but not for one each.
function happened() {
	later(Math.max(0, asked + leastPause - Date.now()));
}

const kinds = document.body.dataset.kinds;
const events = new EventSource("/v1/events?kinds=" + kinds);
for (const kind of kinds.split(",")) events.addEventListener(kind, happened);
document.addEventListener("visibilitychange", () => document.hidden || renew());
later(longestPause);

// What follows is for who may change things.

function element(name, properties, ...children) {
	const e = Object.assign(document.createElement(name), properties);
	e.append(...children);
	return e;
}

// post sends an operation and returns its answer, or throws what the director says against it.
async function post(path, body) {
	const answer = await fetch(path, {
		method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
	});
	const value = await answer.json();
	if (!answer.ok) throw new Error(value.error ? value.error.message : "status " + answer.status);
	return value;
}

// A change is a title, fields to fill in, and what they come to: a path, a body, and whether there
// is a plan of it.
const changes = {
	drain: {
		title: "Drain", text: "No new users; those it has are moved away, and its vhosts stay.",
		fields: [["minutes", "Over how many minutes (0: as soon as may be)", 0]],
		operation: (ip, f) => ["/backends/drain", {ip, over_ms: f.minutes * 60000 || undefined}],
	},
	undrain: {title: "End the drain", text: "It gets new users again. Users who were moved stay.",
		operation: (ip) => ["/backends/undrain", {ip}]},
	down: {title: "Take it down", text: "New users go elsewhere; those it has stay until they expire.",
		operation: (ip) => ["/backends/down", {ip}]},
	up: {title: "Take it up", text: "It gets new users again.",
		operation: (ip) => ["/backends/up", {ip}]},
	vhosts: {
		title: "Change its vhosts", text: "Its share of new users, next to those of the others.",
		fields: [["vhosts", "Vhosts", (button) => button.dataset.vhosts]],
		operation: (ip, f) => ["/backends/update", {ip, vhosts: f.vhosts}],
	},
	flush: {title: "Flush", text: "Users who are not where they hash are moved there now.",
		operation: (ip) => ["/flushes", {backend: ip}]},
	remove: {title: "Remove", text: "It leaves the table; its users get other backends.",
		operation: (ip) => ["/backends/remove", {ip}]},
};

function show(title, ...content) {
	const form = element("form", {method: "dialog"},
		element("h2", {id: "dialog-title", textContent: title}), ...content);
	dialog.replaceChildren(form);
	if (!dialog.open) dialog.showModal();
	return form;
}

function buttons(...all) { return element("p", {className: "buttons"}, ...all); }

function close() { return element("button", {type: "submit", textContent: "Close"}); }

function button(text, act, className = "") {
	const b = element("button", {type: "button", textContent: text, className});
	b.addEventListener("click", async () => {
		b.disabled = true;
		try { await act(); } catch (error) {
			show("That did not work", element("p", {className: "bad", textContent: error.message}),
				buttons(close()));
		}
		b.disabled = false;
	});
	return b;
}

function choose(ip, from) {
	const names = Object.keys(changes).filter((name) => ({
		undrain: "drained" in from.dataset, drain: !("drained" in from.dataset),
		up: "down" in from.dataset, down: !("down" in from.dataset),
	})[name] ?? true);
	show("Change " + ip, ...names.map((name) => element("p", {},
		button(changes[name].title + "…", () => prepare(name, ip, from)), " " + changes[name].text)),
		buttons(close()));
}

// prepare asks for the fields of a change, if it has any, and shows its plan.
function prepare(name, ip, from) {
	const change = changes[name], title = change.title + " " + (ip || "all backends");
	if (!change.fields) return plan(title, ...change.operation(ip));
	const inputs = {};
	const labels = change.fields.map(([key, text, first]) => {
		inputs[key] = element("input", {type: "number", min: 0,
			value: typeof first === "function" ? first(from) : first});
		return element("label", {}, text + " ", inputs[key]);
	});
	show(title, element("p", {textContent: change.text}), ...labels, buttons(close(),
		button("Show the plan", () => plan(title, ...change.operation(ip, Object.fromEntries(
			Object.entries(inputs).map(([key, input]) => [key, Number(input.value)])))), "do")));
}

async function plan(title, path, body) {
	const p = await post("/v1/plan" + path, body);
	const moves = p.moves.slice(0, 20).map((m) => element("li", {textContent:
		`${m.users} users${m.tag ? " of tag " + m.tag : ""} from ${m.from} to ${m.to || "no backend"}`}));
	if (p.moves.length > 20) moves.push(element("li", {textContent: "…"}));
	const seconds = Math.ceil(p.least_ms / 1000);
	show(title, element("p", {textContent: p.users === 0 ? "No user would be moved." :
		`${p.users} users would be moved, by this or by a flush that follows it; at least ${seconds} s.`}),
		element("ul", {}, ...moves), buttons(close(), button(title.split(" ")[0] + " now", async () => {
			done(title, await post("/v1" + path + "?if_plan=" + encodeURIComponent(p.table), body));
		}, "do")));
}

function done(title, outcome) {
	const away = outcome.failed_directors ?? [];
	show(title, element("p", {textContent: "Done." + (away.length ?
		" Directors that do not have it yet: " + away.join(", ") + "." : "")}), buttons(close()));
	renew();
}

function confirm(title, text, path, body) {
	show(title, element("p", {textContent: text}), buttons(close(),
		button("Do it", async () => done(title, await post(path, body)), "do")));
}

function move(hash) {
	const select = element("select", {}, ...[...document.querySelectorAll("[data-backend]")].map((b) =>
		element("option", {textContent: b.dataset.backend})));
	show("Move the user", element("label", {}, "To ", select), buttons(close(), button("Move now",
		async () => done("Move the user", await post("/v1/moves",
			{user_hash: Number(hash), backend: select.value})), "do")));
}

document.addEventListener("click", ({target}) => {
	const b = target.closest("button");
	if (!b || !mayChange) return;
	const {backend, cancel, flush, rebalance, move: hash} = b.dataset;
	const shown = (promise) => Promise.resolve(promise).catch((error) => show("That did not work",
		element("p", {className: "bad", textContent: error.message}), buttons(close())));
	if (backend !== undefined) choose(backend, b);
	else if (cancel !== undefined) {
		confirm("Cancel the flush", "Users who are being moved are moved to the end; no others are.",
			"/v1/flushes/cancel", {backend: cancel});
	} else if (flush !== undefined) shown(prepare("flush", "", b));
	else if (rebalance !== undefined) shown(plan("Rebalance", "/backends/rebalance", {}));
	else if (hash !== undefined) move(hash);
});
