"""The look of a report: one column, system fonts, light and dark, narrow and wide, and on paper."""

SHEET = """
:root{--ink:#1f2328;--soft:#57606a;--line:#d8dee4;--page:#fff;--raised:#f6f8fa;--blue:#0063a0;--orange:#b54708;
--green:#116329;--fill:#0072b2}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--line:#30363d;--page:#0d1117;
--raised:#161b22;--blue:#79c0ff;--orange:#ffa657;--green:#7ee787;--fill:#388bfd}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:2rem;line-height:1.2;margin:.1rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.35rem;line-height:1.3;margin:0 0 .6rem}
section{border-top:1px solid var(--line);margin-top:2.2rem;padding-top:1.6rem}
p{margin:.6rem 0;max-width:46rem;overflow-wrap:anywhere}
header>p:first-child{margin:0}
.lead{font-size:1.1rem}
.soft{color:var(--soft);font-size:.875rem}
.more{margin-top:1rem}
a{color:var(--blue)}
nav ol{columns:2 14rem;padding-left:1.4rem;margin:1.2rem 0 0}
nav li{padding:.1rem 0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.85em}
pre{background:var(--raised);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;white-space:pre-wrap;
overflow-wrap:anywhere}
.figures{display:flex;flex-wrap:wrap;gap:.7rem;margin:1.2rem 0}
.figures div{background:var(--raised);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem;
flex:1 1 auto;display:flex;
flex-direction:column-reverse;justify-content:flex-end}
.figures dt{color:var(--soft);font-size:.85rem}
.figures dd{margin:0;font-size:1.45rem;font-weight:650;font-variant-numeric:tabular-nums;white-space:nowrap}
.figures div:nth-child(-n+2) dd{font-size:2rem;color:var(--blue)}
.note{border-left:4px solid var(--orange);background:var(--raised);padding:.6rem .9rem;border-radius:0 6px 6px 0}
.good{border-left:4px solid var(--green);background:var(--raised);padding:.6rem .9rem;border-radius:0 6px 6px 0}
.found li{margin:.3rem 0}
.scroll{overflow-x:auto;margin:.8rem 0;max-width:100%}
.scroll:focus-visible,pre:focus-visible,a:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 .35rem}
caption span{display:block;width:max-content;max-width:min(58rem,calc(100vw - 2rem))}
th,td{padding:.28rem .6rem;border-bottom:1px solid var(--line);text-align:right;font-weight:400;vertical-align:top}
thead th{color:var(--soft);white-space:nowrap;vertical-align:bottom}
.w{text-align:left}
.n{white-space:nowrap}
tbody th{white-space:nowrap}
th:first-child{padding-left:0}
td code{display:block;min-width:11rem;overflow-wrap:anywhere}
.layers tbody th{white-space:normal;overflow-wrap:anywhere;min-width:5.5rem}
.total tbody tr:last-child>*{font-weight:650;border-top:2px solid var(--line)}
.wide{min-width:8rem;width:12rem;vertical-align:middle}
.meter{background:var(--fill);height:.75rem;border-radius:2px;min-width:1px}
.confusion th,.confusion td{text-align:center;padding:.3rem;min-width:2.3rem;border:1px solid var(--line)}
.confusion th.w,.confusion td.w{text-align:left;white-space:nowrap;padding:.3rem .5rem}
.card,.cards img,.row img,figure img{background:#fff}
.card{display:inline-block;border-radius:6px;border:1px solid var(--line);padding:.3rem;vertical-align:top}
.card img{display:block;max-width:none}
.scroll>.card{max-width:none}
.charts{display:flex;flex-wrap:wrap;gap:.8rem}
.charts .scroll{margin:0}
.charts .card{max-width:100%}
.charts img{max-width:100%;height:auto}
.pair{display:flex;flex-wrap:wrap;gap:0 2.5rem;align-items:flex-start}
.pair>*{min-width:0;max-width:100%}
figure{margin:.8rem 0;max-width:100%}
figcaption{overflow-wrap:anywhere;color:var(--soft);font-size:.875rem;max-width:26rem}
figure .card{max-width:100%}
.pixels{image-rendering:pixelated;display:block;width:100%;height:auto}
figure .pixels{width:26rem;max-width:100%}
.pair{gap:0 1.5rem}
.pair figure{max-width:17rem}
.pair figure .pixels{width:17rem}
.shapes{list-style:none;display:flex;flex-wrap:wrap;gap:1.2rem 1.6rem;align-items:flex-end;padding:0;margin:1.2rem 0}
.shapes li{display:flex;flex-direction:column;font-size:.8rem;line-height:1.35;min-width:5.2rem;align-self:flex-start}
.shapes svg{display:block;overflow:visible;margin-bottom:.5rem}
.shapes rect{fill:#b3d4e8;stroke:#0072b2;stroke-width:.8}
.shapes .bar{fill:#efaf8e;stroke:#d55e00}
.maps{margin:1rem 0}
.row{display:grid;grid-template-columns:11rem 1fr;gap:.2rem 1rem;padding:.45rem 0;border-bottom:1px solid var(--line)}
.label{display:flex;flex-direction:column;font-size:.875rem;overflow-wrap:anywhere}
.strips{display:flex;flex-wrap:wrap;gap:.3rem}
.strips .pixels{max-width:100%;background:var(--line);border:1px solid var(--line)}
.strips .one{width:7rem}
.strips .vector,.strips .strip{width:100%}
.strips .strip{height:1.8rem}
.cards{list-style:none;padding:0;margin:1rem 0;display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));
gap:1rem}
.cards.small{grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr))}
.cards li{display:flex;flex-direction:column;font-size:.9rem;border:1px solid var(--line);border-radius:8px;
padding:.6rem;background:var(--raised);overflow-wrap:anywhere}
.cards .two{display:flex;gap:.4rem;margin-bottom:.4rem}
.cards .two img{width:calc(50% - .2rem)}
.cards.small img{margin-bottom:.4rem}
.wrong b,.wrong{color:var(--orange)}
.right b,.right{color:var(--blue)}
footer{border-top:1px solid var(--line);margin-top:2.5rem}
@media (max-width:40rem){.row{grid-template-columns:1fr}
.cards{grid-template-columns:repeat(auto-fill,minmax(10rem,1fr))}
.cards.small{grid-template-columns:repeat(auto-fill,minmax(6.5rem,1fr))}h1{font-size:1.6rem}
.figures{display:grid;grid-template-columns:1fr 1fr}
.confusion{font-size:.75rem}.confusion td,.confusion thead th{min-width:1.7rem;padding:.3rem .1rem}
.confusion th.w,.confusion td.w{padding:.3rem .25rem}}
@media print{body{font-size:11pt;background:#fff;color:#000}nav{display:none}main{max-width:none;padding:0}
section,figure,.row,.cards li,tr,.charts>*{break-inside:avoid}section{break-inside:auto}h2{break-after:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}.scroll{overflow:visible}}
"""
