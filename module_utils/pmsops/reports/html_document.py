# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shell of each HTML page, as a template: its head, its policy and the common style."""

from __future__ import annotations

from ansible.module_utils.pmsops.reports.html_style import STYLE


def document(
    title: str, body: str, *, policy: str = "", style: str = "", language: str = "en"
) -> str:
    """Return the template of a self-contained page, which loads nothing from anywhere.

    *policy* allows more than styles; *style* comes after the common one. *language* may be a
    template, too.
    """
    return (
        """<!doctype html>
<html lang=\""""
        + language
        + """\">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; """
        + policy
        + """base-uri 'none'; form-action 'none'">
<title>"""
        + title
        + """</title>
<style>"""
        + STYLE
        + style
        + """</style>
</head>
<body>"""
        + body
        + """</body>
</html>
"""
    )
