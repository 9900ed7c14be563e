"""How the pages look: colours as variables, so that plots follow the reader's light or dark, and paper is white."""

from __future__ import annotations

LIGHT = {
    "bg": "#f4f6f8",
    "surface": "#ffffff",
    "ink": "#1b1f24",
    "muted": "#57606a",
    "line": "#d8dee4",
    "accent": "#0a58a8",
    "pass": "#1a7f37",
    "fail": "#c5221f",
    "open": "#8a5c00",
    "c1": "#0b62b5",
    "c2": "#b84a06",
    "c3": "#00795a",
    "c4": "#8e3fa3",
    "c5": "#7d6400",
    "c6": "#0a7688",
    "c7": "#b02a55",
    "c8": "#555f6b",
}
"""Name of a colour → what it is by day; series `c1` to `c8` are told apart with any kind of sight in pairs of
neighbours, and all have 4.5:1 of contrast on the surface (WCAG 2.2, 1.4.3)."""

DARK = {
    "bg": "#0e1216",
    "surface": "#171c22",
    "ink": "#e6e9ec",
    "muted": "#9ba6b1",
    "line": "#333b45",
    "accent": "#79b8ff",
    "pass": "#56d364",
    "fail": "#ff7b72",
    "open": "#e3b341",
    "c1": "#6db3f8",
    "c2": "#ff9a5c",
    "c3": "#4fd1a5",
    "c4": "#d59bea",
    "c5": "#e0c04c",
    "c6": "#56cfe0",
    "c7": "#ff86ab",
    "c8": "#a9b4c0",
}

SERIES = tuple(f"c{number}" for number in range(1, 9))

RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:1180px;margin:0 auto;padding:0 16px}
header{padding-top:24px}
h1{font-size:1.65rem;line-height:1.2;margin:0 0 4px}
h2{font-size:1.2rem;margin:40px 0 4px;scroll-margin-top:8px}
h3{font-size:1rem;margin:0;line-height:1.35}
p{margin:4px 0}
a{color:var(--accent)}
code{font:.86em ui-monospace,"SF Mono",Menlo,"DejaVu Sans Mono",monospace;color:var(--muted)}
.muted,.note,footer{color:var(--muted)}
.note,footer,.lead{font-size:.9rem}
.lead{max-width:75ch}
footer{padding:32px 16px 40px}
nav.toc{margin:16px 0 0;font-size:.9rem;display:flex;flex-wrap:wrap;gap:4px 16px}
.verdict{display:flex;flex-wrap:wrap;align-items:center;gap:8px 14px;margin:14px 0 0;padding:14px 16px;
border-radius:10px;background:var(--surface);border:1px solid var(--line);border-left:8px solid var(--v)}
.verdict b{font-size:1.35rem;color:var(--v)}
.pass{--v:var(--pass)}.fail{--v:var(--fail)}.inconclusive{--v:var(--open)}.shown,.accepted{--v:var(--muted)}
.badge{color:var(--v);font-weight:600;white-space:nowrap}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:14px;margin-top:12px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:14px}
.tile,.card{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:12px 14px;margin:0;
min-width:0}
.tile dt{color:var(--muted);font-size:.85rem}
.tile dd{margin:0}
.tile .big{font-size:1.45rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.tile .note{display:block;line-height:1.35}
dl.tiles{margin-bottom:0}
.card figcaption p{color:var(--muted);font-size:.88rem;line-height:1.4}
@media (min-width:760px){.rest{grid-column:span 2}}
svg.plot{display:block;width:100%;max-width:480px;height:auto;margin:8px auto 0}
svg.plot text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
.key{list-style:none;margin:6px 0 0;padding:0;display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.85rem}
.key i{font-style:normal;font-weight:700;color:var(--k)}
section>.card{margin-top:12px}
details{margin-top:8px;font-size:.88rem}
summary{cursor:pointer;color:var(--accent)}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums;margin-top:6px}
th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--muted);white-space:nowrap}
td.num,th.num{text-align:right;white-space:nowrap}
td{min-width:3.5em;max-width:32em;overflow-wrap:break-word}
table.full{width:100%}
tr.out td{color:var(--muted)}
.limits{list-style:none;margin:12px 0 0;padding:0;display:grid;gap:12px;
grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr))}
.limits li{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:10px 14px}
.limits .head{display:flex;flex-wrap:wrap;justify-content:space-between;gap:8px;font-weight:600}
.limits code{font-weight:400}
.limits .foot{font-size:.88rem;color:var(--muted);font-variant-numeric:tabular-nums}
.limits .foot b{color:var(--ink)}
.track{position:relative;height:22px;margin:8px 0 4px;background:color-mix(in srgb,var(--line) 45%,transparent);
border-radius:4px}
.track i{position:absolute;top:0;bottom:0}
.track .fill{background:var(--v);opacity:.82;top:4px;bottom:4px;border-radius:2px}
.track .span{top:50%;bottom:auto;height:2px;margin-top:-1px;background:var(--ink)}
.track .span::before,.track .span::after{content:"";position:absolute;top:-4px;height:10px;width:2px;
background:var(--ink)}
.track .span::before{left:0}.track .span::after{right:0}
.track .limit{width:3px;margin-left:-1px;top:-4px;bottom:-4px;background:var(--ink)}
.track .zero{width:1px;background:var(--muted)}
.track .dot{width:10px;margin-left:-5px;top:6px;bottom:6px;border-radius:5px;background:var(--v)}
ul.plain,ol.plain{margin:6px 0;padding-left:20px}
.warn{border-left:4px solid var(--open)}
form.controls{display:flex;flex-wrap:wrap;gap:8px;margin:14px 0;align-items:end}
form.controls label{font-size:.85rem;color:var(--muted);display:grid;gap:2px}
input,select,button{font:inherit;font-size:.95rem;color:var(--ink);background:var(--surface);
border:1px solid var(--line);border-radius:6px;padding:5px 9px}
button{color:var(--surface);background:var(--accent);border-color:var(--accent);cursor:pointer}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:600px){body{font-size:15px}main,header,footer{padding-left:12px;padding-right:12px}
.tile,.card,.limits li{padding:10px 11px}h1{font-size:1.35rem}}
@media print{body{font-size:10.5pt;background:#fff}nav.toc,form,.skip{display:none}
.scroll{overflow:visible}.rest{grid-column:1/-1}
.card,.tile,.limits li,.verdict{break-inside:avoid}h2{break-after:avoid}main,header,footer{max-width:none}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def css() -> str:
    """The whole style sheet."""
    light, dark = ("".join(f"--{name}:{value};" for name, value in each.items()) for each in (LIGHT, DARK))
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{RULES}"
    )
