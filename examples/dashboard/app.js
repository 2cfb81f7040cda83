// Asks the server every two seconds and shows its answers. Whatever users wrote goes into the page
// as text, never as HTML. A word with an underscore is a field of an answer; those of this program have none.

import { bar, draw, match, setText } from "./charts.js";
import { ago, format, nameOf } from "./format.js";

const EVERY_MS = 2000;

/** How many samples of the store's health the charts show: two minutes of them. */
const SAMPLES = 60;

const $ = (id) => document.getElementById(id);

const samples = [];
let days = 30;
/** Counts what is asked for, so that an answer to an earlier question is not shown. */
let asked = 0;
let timer;

/** Takes the token out of the address, where it would end up in bookmarks and on screenshots. */
function takeToken() {
  const token = new URLSearchParams(location.search).get("token");
  if (token) {
    sessionStorage.setItem("token", token);
    history.replaceState(null, "", location.pathname + location.hash);
  }
}

class Refused extends Error {}

async function ask(path) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}` };
  const answer = await fetch(`/api/${path}`, { headers });
  if (answer.ok) return answer.json();
  const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
  throw answer.status < 500 ? new Refused(error) : new Error(error);
}

/** The user that the address names, if it names one. */
function userInAddress() {
  return location.hash.match(/^#user\/(-?\d+)$/)?.[1];
}

async function refresh() {
  clearTimeout(timer);
  const question = ++asked;
  const user = userInAddress();
  const began = performance.now();
  try {
    const [page, health] = await Promise.all([
      ask(user ? `users/${user}` : `admin?days=${days}`),
      ask("health"),
    ]);
    if (question !== asked) return;
    takeSample(health);
    (user ? showUser : showAdmin)(page, health);
    $("admin").hidden = Boolean(user);
    $("user").hidden = !user;
    showState(health.ok ? "ok" : "bad", health.ok ? "working" : "in trouble");
    $("notice").hidden = true;
  } catch (error) {
    if (question !== asked) return;
    console.error(error);
    showState("bad", "no answer");
    tell(error instanceof Refused ? `Refused: ${error.message}.` : "The program does not answer.");
    // What was refused once will be again, until another link or page is opened.
    if (error instanceof Refused) return;
  }
  // A large file takes a while to sum up: it is not to be busy with that all of the time.
  const took = performance.now() - began;
  timer = setTimeout(refresh, Math.max(EVERY_MS, 4 * took));
}

function tell(text) {
  setText($("notice"), text);
  $("notice").hidden = false;
}

function showState(state, text) {
  $("state").className = `state ${state}`;
  setText($("state"), text);
}

function takeSample({ writer, wal_bytes }) {
  samples.push({ at: Date.now(), committed: writer.committed, wal_bytes });
  if (samples.length > SAMPLES) samples.shift();
}

/** Shows the values that the page's elements ask for with data-value. */
function fill(main, values) {
  for (const node of main.querySelectorAll("[data-value]")) {
    const value = node.dataset.value.split(".").reduce((object, key) => object?.[key], values);
    const as = node.dataset.as ?? (typeof value === "number" ? "number" : "plain");
    setText(node, value === null || value === undefined ? "–" : format[as](value));
  }
}

/** What both pages work out of an answer. */
function sums({ days, overview }) {
  const sum = (of) => days.reduce((total, day) => total + day[of], 0);
  const period = { messages: sum("messages"), errors: sum("errors"), cost: sum("cost") };
  return {
    period,
    today: days.at(-1),
    errorRate: period.messages ? period.errors / period.messages : null,
    perSession: overview.stats.total_messages / Math.max(1, overview.stats.total_sessions),
  };
}

function showAdmin(page, health) {
  const main = $("admin");
  const { now, overview, spending } = page;
  const { stats } = overview;
  fill(main, { ...page, ...sums(page), ...store(health, now), health });
  drawDays(main, page);
  drawHealth(main, health);
  const dearest = Math.max(...stats.top_users.map((user) => user.total_cost));
  list(main, "top_users", stats.top_users, (row, user) => bar(row, {
    name: nameOf(user),
    href: `#user/${user.user_id}`,
    parts: [user.total_cost],
    most: dearest,
    texts: [format.dollars(user.total_cost)],
  }));
  const most = Math.max(...stats.tools.map((tool) => tool.usage_count));
  list(main, "tools", stats.tools, (row, tool) => bar(row, {
    name: tool.tool_name,
    parts: [tool.success_count, tool.error_count],
    most,
    texts: [format.number(tool.usage_count), format.number(tool.error_count)],
  }));
  const dearestNow = Math.max(...spending.users.map((user) => user.totals.cost));
  list(main, "spenders", spending.users, (row, user) => bar(row, {
    name: nameOf(user),
    href: `#user/${user.user_id}`,
    parts: [user.totals.cost],
    most: dearestNow,
    texts: [format.dollars(user.totals.cost)],
  }));
  showSpending(main, spending);
  list(main, "users", overview.users.items, (row, user) => cells(row, [
    { text: nameOf(user), href: `#user/${user.user_id}` },
    { number: format.number(user.message_count) },
    { number: format.dollars(user.total_cost) },
    { number: ago(user.last_active, now) },
  ]));
  const names = new Map(overview.users.items.map((user) => [user.user_id, nameOf(user)]));
  list(main, "events", overview.recent_audit, (row, event) => cells(row, [
    { text: event.event_type, failed: !event.success },
    { text: names.get(event.user_id) ?? `user ${event.user_id}`, href: `#user/${event.user_id}` },
    { number: ago(event.timestamp, now) },
  ]));
}

function showUser(page) {
  const main = $("user");
  const { now, overview, spending } = page;
  const { user, stats } = overview;
  const allowed = user.is_allowed ? "allowed" : "not allowed";
  fill(main, { ...page, ...sums(page), name: nameOf(user), allowed });
  drawDays(main, page);
  showSpending(main, spending);
  const most = Math.max(...stats.top_tools.map((tool) => tool.usage_count));
  list(main, "user_tools", stats.top_tools, (row, tool) => bar(row, {
    name: tool.tool_name,
    parts: [tool.usage_count],
    most,
    texts: [format.number(tool.usage_count)],
  }));
  list(main, "sessions", overview.recent_sessions, (row, session) => cells(row, [
    { text: session.project_path },
    { number: format.number(session.message_count) },
    { number: format.dollars(session.total_cost) },
    { number: session.is_active ? ago(session.last_used, now) : "ended" },
  ]));
  list(main, "talk", overview.recent_messages, (row, message) => {
    const answer = message.error ?? message.response ?? "";
    const when = `${ago(message.timestamp, now)} · ${format.dollars(message.cost)}`;
    const texts = [["prompt", message.prompt], [message.error ? "failed" : "answer", answer], ["when", when]];
    match(row, texts, () => document.createElement("p"), (p, [name, text]) => {
      p.className = name;
      setText(p, text);
    });
  });
  list(main, "user_events", overview.recent_audit, (row, event) => cells(row, [
    { text: event.event_type, failed: !event.success },
    { number: ago(event.timestamp, now) },
  ]));
}

/** What models used, and what is left of limits: of everybody, or of one user. */
function showSpending(main, { models, limits }) {
  list(main, "models", models, (row, { model, totals }) => cells(row, [
    { text: model ?? "other requests" },
    { number: format.number(totals.requests) },
    { number: format.short(totals.input_tokens) },
    { number: format.short(totals.output_tokens) },
    { number: format.dollars(totals.cost) },
  ]));
  list(main, "limits", limits, (row, { name, measure, max, budget, resets_at }) => bar(row, {
    name,
    parts: budget ? [Math.min(budget.spent, max), Math.min(budget.reserved, max)] : [],
    most: max,
    texts: [budget ? left(budget, measure, resets_at) : "by user"],
  }));
}

function left({ left }, measure, until) {
  const amount = measure === "cost" ? format.dollars(left) : format.number(left);
  return `${amount} left${until ? `, until ${format.moment(until)}` : ""}`;
}

/** The state of the store in words. */
function store({ writer, last_backup, last_checkpoint }, now) {
  const { done, failed } = last_backup ?? {};
  return {
    perBatch: writer.committed / Math.max(1, writer.batches),
    lastError: writer.last_error ?? "no error of the disk",
    checkpoint: last_checkpoint ? `copied ${ago(last_checkpoint.at, now)}` : "not copied yet",
    backup: {
      when: done || failed ? ago((done ?? failed).at, now) : "none",
      what: done ? format.bytes(done.bytes) : failed ? `failed: ${failed.error}` : "since opening",
    },
  };
}

function chart(main, name, spec) {
  const node = main.querySelector(`[data-chart="${name}"]`);
  if (node) draw(node, spec);
}

function drawDays(main, { days }) {
  const points = (value, second) => days.map((day) => {
    return { label: format.date(day.date), value: value(day), second: second?.(day), day };
  });
  const { period, errorRate } = sums({ days, overview: { stats: {} } });
  const rate = (day) => (day.messages ? day.errors / day.messages : 0);
  const failed = (errors) => (errors ? `, ${format.number(errors)} failed` : "");
  chart(main, "messages", {
    points: points((day) => day.messages, (day) => day.errors),
    tick: format.short,
    scale: { whole: true },
    tell: ({ label, day }) => `${label}: ${format.number(day.messages)}${failed(day.errors)}`,
    sum: `${format.number(period.messages)}${failed(period.errors)}`,
  });
  chart(main, "cost", {
    points: points((day) => day.cost),
    tick: format.price,
    tell: ({ label, value }) => `${label}: ${format.dollars(value)}`,
    sum: format.dollars(period.cost),
  });
  chart(main, "error_rate", {
    points: points(rate),
    kind: "line",
    tick: format.percent,
    tell: ({ label, value, day }) => `${label}: ${format.percent(value)} of ${format.number(day.messages)}`,
    sum: errorRate === null ? "no messages" : `${format.percent(errorRate)} of ${format.number(period.messages)}`,
  });
  chart(main, "active_users", {
    points: points((day) => day.active_users),
    kind: "line",
    tick: format.short,
    scale: { whole: true },
    tell: ({ label, value }) => `${label}: ${format.number(value)}`,
    sum: `${format.number(days.at(-1).active_users)} today`,
  });
}

function drawHealth(main, { writer }) {
  const last = samples.at(-1);
  const points = (value) => samples.map((sample, i) => {
    const seconds = Math.round((last.at - sample.at) / 1000);
    return { label: seconds ? `−${seconds} s` : "now", value: value(sample, samples[i - 1]) };
  });
  const rates = points((sample, before) => {
    const seconds = before && (sample.at - before.at) / 1000;
    return seconds ? Math.max(0, sample.committed - before.committed) / seconds : 0;
  });
  const spec = (points, tick, scale) => ({
    points,
    scale,
    kind: "line",
    tick,
    tell: ({ label, value }) => `${label}: ${tick(value)}`,
    sum: tick(points.at(-1).value),
  });
  chart(main, "rate", spec(rates, format.short));
  chart(main, "log", spec(points((sample) => sample.wal_bytes), format.bytes, { base: 1024 }));
  const sizes = writer.batch_sizes.slice(0, Math.max(4, writer.batch_sizes.findLastIndex((n) => n > 0) + 1));
  chart(main, "batches", {
    points: sizes.map((value, i) => ({ label: i < 2 ? `${i + 1}` : `${2 ** (i - 1) + 1}–${2 ** i}`, value })),
    tick: format.short,
    scale: { whole: true },
    tell: ({ label, value }) => `${label} changes: ${format.number(value)}`,
    sum: `largest ${format.number(writer.largest_batch)}`,
  });
}

function list(main, name, items, update, element) {
  const parent = main.querySelector(`[data-list="${name}"]`);
  const make = () => document.createElement(parent.tagName === "TBODY" ? "tr" : "li");
  match(parent, items, make, update);
}

/** A row of a table; a cell is a text, perhaps a link, or a number. */
function cells(row, values) {
  match(row, values, () => document.createElement("td"), (cell, { text, number, href, failed }) => {
    cell.className = number !== undefined ? "number" : failed ? "failed" : "";
    if (href && !cell.firstElementChild) cell.replaceChildren(document.createElement("a"));
    const holder = href ? cell.firstElementChild : cell;
    if (href && holder.getAttribute("href") !== href) holder.setAttribute("href", href);
    setText(holder, text ?? number);
  });
}

function choosePeriod(chosen) {
  days = chosen;
  for (const button of $("period").children) {
    button.setAttribute("aria-pressed", Number(button.value) === days);
  }
}

takeToken();
choosePeriod(days);
$("period").addEventListener("click", ({ target }) => {
  if (target.value) {
    choosePeriod(Number(target.value));
    refresh();
  }
});
addEventListener("hashchange", () => {
  scrollTo(0, 0);
  refresh();
});
if (sessionStorage.getItem("token")) {
  refresh();
} else {
  showState("bad", "no token");
  tell("Open the link that the program printed when it started.");
}
