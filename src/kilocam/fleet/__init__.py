"""The fleet: tenants, cameras, who may act, and all that ever happened to them.

Owns: tenants, cameras with their sealed addresses and their rules, API tokens, sign-ins, the key
file, the event store (`fleet_event`) with its projections.
Never does: HTTP; connect to a camera; show a credential.
Start reading at: `fleet.py`, then `events.py`.
"""

from kilocam.database import SYSTEM
from kilocam.fleet.addresses import check_address
from kilocam.fleet.control import Assignments, Declared, FleetControl
from kilocam.fleet.errors import (
    Conflict,
    FleetError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unsealable,
)
from kilocam.fleet.fleet import Fleet, weights_of
from kilocam.fleet.keys import Key, Keyring, Use
from kilocam.fleet.rules import Rules, rules_of
from kilocam.fleet.sealing import Seal
from kilocam.fleet.sessions import Session, Sessions
from kilocam.fleet.spent import Spent
from kilocam.fleet.tokens import Tokens
from kilocam.fleet.values import (
    DEFAULT_TENANT,
    UNSET,
    Assignment,
    Camera,
    CameraChange,
    CameraInput,
    FleetEvent,
    NewToken,
    Page,
    Principal,
    Role,
    StoredRule,
    Tenant,
    Token,
    Unset,
    token_subject,
)

__all__ = [
    "DEFAULT_TENANT",
    "SYSTEM",
    "UNSET",
    "Assignment",
    "Assignments",
    "Camera",
    "CameraChange",
    "CameraInput",
    "Conflict",
    "Declared",
    "Fleet",
    "FleetControl",
    "FleetError",
    "FleetEvent",
    "Forbidden",
    "Invalid",
    "Key",
    "Keyring",
    "NewToken",
    "NotFound",
    "Page",
    "Principal",
    "Role",
    "Rules",
    "Seal",
    "Session",
    "Sessions",
    "Spent",
    "StoredRule",
    "Tenant",
    "Token",
    "Tokens",
    "Unauthenticated",
    "Unavailable",
    "Unsealable",
    "Unset",
    "Use",
    "check_address",
    "rules_of",
    "token_subject",
    "weights_of",
]
