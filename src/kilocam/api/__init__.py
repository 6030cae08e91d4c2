"""The gateway: one catalogue of typed operations, authentication, and the faces of it.

Owns: operations and their schemas, who may call them, REST, live pictures, sign-in, limits, problem
details, health.
Never does: SQL, decoding, camera protocols; operations call the rooms below.
Start reading at: `catalogue.py`, then `rest.py` and `operations/`.
"""

from kilocam.api.app import Gateway, Health, make_app
from kilocam.api.catalogue import Binary, Caller, Catalogue, Model, Nothing, Operation
from kilocam.api.known import KnownCameras
from kilocam.api.limits import RateLimit
from kilocam.api.problems import Problem

__all__ = [
    "Binary",
    "Caller",
    "Catalogue",
    "Gateway",
    "Health",
    "KnownCameras",
    "Model",
    "Nothing",
    "Operation",
    "Problem",
    "RateLimit",
    "make_app",
]
