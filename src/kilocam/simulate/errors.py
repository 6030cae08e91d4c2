"""What can go wrong in the simulator.

KilocamError
└── SimulateError           the simulator cannot do what it was told
    ├── LedgerError         a ledger file is damaged or does not fit its content files
    └── ListenError         the port cannot be listened on
"""

from kilocam.core import KilocamError


class SimulateError(KilocamError):
    """The simulator cannot do what it was told."""


class LedgerError(SimulateError):
    """A ledger file is damaged, or does not fit the content files beside it."""


class ListenError(SimulateError):
    """The address cannot be listened on."""
