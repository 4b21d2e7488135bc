# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's stand-in for the PMS: ``uvicorn main:app``, configured by the PMS's own variables."""

from __future__ import annotations

import os

from pms_service.app import create_app
from pms_service.settings import Settings

app = create_app(Settings.from_environment(os.environ))
