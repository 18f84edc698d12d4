"""The ledger: every accepted change and its outcome. The only package that uses redis."""

from services.ledger.chores import Chores as Chores
from services.ledger.claims import Claims as Claims
from services.ledger.ledger import Ledger as Ledger
from services.ledger.records import Claim as Claim
from services.ledger.records import Claimed as Claimed
from services.ledger.records import Counts as Counts
from services.ledger.records import Named as Named
from services.ledger.records import Refusal as Refusal
from services.ledger.records import Removal as Removal
from services.ledger.records import Stats as Stats
from services.ledger.store import Store as Store
from services.ledger.store import connect as connect
from services.ledger.tasks import begin_task as begin_task
