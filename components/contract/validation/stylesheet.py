"""The style sheet of the Data Docs, inline so that the pages need no network."""

STYLE = """
body { font: 15px/1.45 system-ui, "Noto Sans CJK SC", sans-serif; color: #1d2530; margin: 0 auto; max-width: 1080px;
  padding: 24px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 28px 0 8px; }
h5 { font-size: 15px; margin: 22px 0 6px; } h6 { font-size: 14px; margin: 14px 0 4px; }
a { color: #1457b8; text-decoration: none; } a:hover { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; margin: 4px 0 8px; }
th, td { border: 1px solid #d9dee5; padding: 5px 9px; text-align: left; vertical-align: top; }
th { background: #f3f5f8; font-weight: 600; } td.number, th.number { text-align: right; white-space: nowrap; }
table.table th:first-child { width: 4em; } table.table th:last-child { width: 30%; }
table.table-bordered th:first-child { width: auto; }
.badge { background: #eaeef3; border-radius: 4px; padding: 1px 6px; font: 13px ui-monospace, monospace; }
.ok, .text-success { color: #17733a; } .bad, .text-danger { color: #b3261e; }
.fa-check-circle::before { content: "\\2713"; } .fa-times::before { content: "\\2717"; }
.fa-exclamation-triangle::before { content: "!"; } .fas { font-style: normal; font-weight: 700; }
.collapse { display: none; } a[data-toggle="collapse"], button { display: none; }
@media (max-width: 640px) { body { padding: 14px; } table { display: block; overflow-x: auto; }
  td, th { overflow-wrap: anywhere; } td:first-child { min-width: 8em; } }
.note { color: #5a6572; margin: 0 0 16px; } .show-scrollbars { overflow-wrap: anywhere; }
"""
