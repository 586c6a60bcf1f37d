"""The gateway's own pages: one sentence each, and a button where there is something to do. No script, no picture."""

from __future__ import annotations

from html import escape

from aiohttp import web

from PETCTFusionSegLib.i18n import _

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>PET/CT Fusion</title>{refresh}<link rel="icon" href="data:,"><style>
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; justify-items: center; gap: 1.5rem;
       background: #14181d; color: #e8eaed; font: 1.15rem/1.5 system-ui, sans-serif; text-align: center; }}
p {{ max-width: 40rem; margin: 0 1.5rem; }}
button {{ font: inherit; padding: .6rem 1.6rem; border: 0; border-radius: .4rem; background: #56b4e9; color: #000; }}
.turning {{ width: 2.5rem; height: 2.5rem; border: .3rem solid #3a424c; border-top-color: #56b4e9; border-radius: 50%;
           animation: turn 1s linear infinite; }}
@keyframes turn {{ to {{ transform: rotate(1turn); }} }}
</style></head><body>{body}</body></html>"""


def enteredPage() -> web.Response:
    """Goes on to the workbench by the page's own doing: a redirect would not carry a new strict cookie when the address
    was opened by a link in another program."""
    return _page(
        f"<p>{escape(_('Opening the workbench...'))}</p>", 200, '<meta http-equiv="refresh" content="0;url=./">'
    )


def startingPage() -> web.Response:
    """Looks again every second."""
    body = f'<div class="turning"></div><p id="starting">{escape(_("The workbench is starting, a few seconds..."))}</p>'
    return _page(body, 200, '<meta http-equiv="refresh" content="1">')


def endedPage(sentence: str) -> web.Response:
    """The session is over; a button begins another one."""
    label = escape(_("Begin again"))
    form = f'<form method="post" action="./begin"><button id="begin" type="submit">{label}</button></form>'
    return _page(f'<p id="ended">{escape(sentence)}</p>{form}', 200)


def refusedPage(sentence: str, status: int) -> web.Response:
    """Nothing to be done here."""
    return _page(f'<p id="refused">{escape(sentence)}</p>', status)


def strangerSentence() -> str:
    """For a browser that has neither token nor cookie."""
    return _("This address alone opens nothing. Use the complete one that petctfusion view printed, with its token.")


def _page(body: str, status: int, refresh: str = "") -> web.Response:
    return web.Response(text=_TEMPLATE.format(body=body, refresh=refresh), content_type="text/html", status=status)
