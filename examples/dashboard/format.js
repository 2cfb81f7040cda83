// How values look. A day is a date without a time, in whichever zone the store counts.

const number = new Intl.NumberFormat("en");
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const price = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export const format = {
  number: (value) => number.format(value),
  decimal: (value) => decimal.format(value),
  short: (value) => short.format(value),
  plain: (value) => String(value),
  percent: (value) => percent.format(value),
  price: (value) => "$" + price.format(value),
  dollars(value) {
    if (value > 0 && value < 0.01) return "$" + small.format(value);
    return "$" + (value === 0 || value >= 1 ? value.toFixed(2) : value.toFixed(3));
  },
  time: (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`),
  moment: (text) => moment.format(new Date(text)),
  date: (text) => day.format(new Date(text)),
  bytes(value) {
    let unit = 0;
    for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
    return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
  },
};

/** How long ago something was, by the store's clock. */
export function ago(time, now) {
  const seconds = Math.max(0, (new Date(now) - new Date(time)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return format.date(time);
}

/** What turns the order of letters round: with it "gnp.exe" reads "exe.png". */
const TURNING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** What to call a user. */
export function nameOf({ user_id, username }) {
  return username?.replace(TURNING, "") || `user ${user_id}`;
}
