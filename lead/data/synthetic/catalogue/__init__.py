"""Every action the synthetic figure knows. A new one is a performance and an entry here."""

from lead.data.synthetic.action import Action
from lead.data.synthetic.catalogue.gestures import GESTURES
from lead.data.synthetic.catalogue.travel import TRAVEL
from lead.data.synthetic.catalogue.whole_body import WHOLE_BODY

ACTIONS: dict[str, Action] = {action.name: action for action in (*TRAVEL, *WHOLE_BODY, *GESTURES)}

__all__ = ["ACTIONS"]
