"""Questions in plain words, answered with citations and with what is missing behind them.

Owns: reading a question, the plan that answers it, the words of the answer, what a language model
may do about it and what its answer is held against.
Never does: HTTP; SQL; call anything but the operations it is handed; believe a model.
Start reading at: `asking.py`, then `planner.py`.
"""

from kilocam.insight.ask.agent import Chat
from kilocam.insight.ask.asking import Asking, Model
from kilocam.insight.ask.tools import Tell, ToolRefused, Tools, ToolSpec
from kilocam.insight.ask.values import BUILT_IN, CameraCoverage, Citation, Gap, Reply, Step

__all__ = [
    "BUILT_IN",
    "Asking",
    "CameraCoverage",
    "Chat",
    "Citation",
    "Gap",
    "Model",
    "Reply",
    "Step",
    "Tell",
    "ToolRefused",
    "ToolSpec",
    "Tools",
]
