"""The style sheet of `report.html`: one column, the system's fonts, light, dark and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f5f6f7; --ink: #1b1f23; --soft: #5b6570;
  --line: #d9dde1; --accent: #0b6e63; --bar: #8fc9c0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --raised: #1d2226; --ink: #e7eaed; --soft: #9ba6b0;
    --line: #343b42; --accent: #5fd0bf; --bar: #2d6f66;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}
header { border-bottom: 3px solid var(--accent); padding-bottom: 1.5rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; }
h1 span { color: var(--soft); font-weight: 400; }
h2 { margin: 3rem 0 0.5rem; font-size: 1.25rem; }
h3 { margin: 1.75rem 0 0.5rem; font-size: 1rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
.soft, caption, figcaption, .key dt, .key .detail { color: var(--soft); font-size: 0.875rem; }
.key {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr));
  gap: 1.25rem; margin: 1.5rem 0 0;
}
.key dd { margin: 0; }
.key .value { font-size: 1.5rem; font-weight: 600; line-height: 1.3; }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; overflow-wrap: normal; font-size: 0.9375rem; }
table.counts { width: auto; min-width: min(22rem, 100%); }
caption { text-align: left; padding-bottom: 0.25rem; }
th, td {
  padding: 0.4rem 0.75rem; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top;
}
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-size: 0.8125rem; font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; }
table.facts td { overflow-wrap: anywhere; }
.figure { text-align: right; white-space: nowrap; overflow-wrap: normal; }
.bar { width: 40%; min-width: 5rem; vertical-align: middle; }
.bar span { display: block; height: 0.75rem; border-radius: 2px; background: var(--bar); }
ul { padding-left: 1.25rem; }
.remarks li { margin: 0.35rem 0; }
.sample {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr));
  gap: 1rem; margin: 0.75rem 0 1.5rem;
}
figure { margin: 0; max-width: 34rem; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; background: var(--raised); }
figure rect { fill: none; stroke-width: 2px; }
figure text {
  font: 600 34px system-ui, sans-serif; stroke: #000c; stroke-width: 8px; stroke-linejoin: round;
}
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.625rem; }
  .key { grid-template-columns: 1fr 1fr; }
  th, td { padding: 0.4rem 0.5rem; }
}
@media print {
  :root {
    color-scheme: light;
    --ground: #fff; --raised: #f5f6f7; --ink: #000; --soft: #444;
    --line: #bbb; --accent: #0b6e63; --bar: #8fc9c0;
  }
  body { padding: 0; max-width: none; font-size: 10pt; }
  h2 { margin-top: 1.5rem; }
  h2, h3, p { break-after: avoid; }
  table, tr, .key, .sample { break-inside: avoid; }
  .scroll { overflow: visible; }
  .bar span { print-color-adjust: exact; }
}
"""
