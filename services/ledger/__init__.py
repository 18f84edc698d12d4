"""The ledger: every accepted change and what became of it. The home of redis."""

from services.ledger.ledger import Ledger as Ledger
from services.ledger.ledger import connect as connect
from services.ledger.records import Claim as Claim
from services.ledger.records import Claimed as Claimed
from services.ledger.records import Counts as Counts
from services.ledger.records import Refusal as Refusal
from services.ledger.records import Stats as Stats
